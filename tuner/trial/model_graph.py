"""A functional model's graph: its calls of layers in order, where a single tensor crosses, and parts built anew.

Keras has no public way to walk a graph. What is used of it here (`Functional._nodes_by_depth` and its nodes) is what
Keras's own `clone_model` and saving walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras

Tensor = Any
"""A KerasTensor."""
Call = Any
"""A node of Keras's graph: an operation called with arguments."""
Substitutes = Callable[[Sequence[Call], Sequence[Tensor]], dict[int, Any]]
"""From a part's calls and its ends, the layers to call in some calls' place, by the call's id; None there leaves a call
out and hands its input on."""


class ModelGraph:
    """The calls between one input and the outputs, each after all that it needs.

    Models inside the model are taken apart, so that each call is of a single layer or operation; the layers are the
    model's own, so whatever trains here trains there.
    """

    def __init__(self, model: keras.Model) -> None:
        functional = _functional(model)
        if functional is None or len(functional.inputs) != 1:
            raise ValueError("only a functional model with one input has a graph to take apart")
        if any(_functional(layer) is not None for layer in functional.layers):
            functional = _flat(functional)
        self.input: Tensor = functional.inputs[0]
        self.outputs: tuple[Tensor, ...] = tuple(functional.outputs)
        self._structure = functional._outputs_struct
        depths = functional._nodes_by_depth
        self.calls: tuple[Call, ...] = tuple(
            call for depth in sorted(depths, reverse=True) for call in depths[depth] if not call.is_input
        )

    def narrows(self) -> Iterator[tuple[int, Tensor]]:
        """(number of calls, tensor) wherever one tensor alone goes on from the first so many calls to the rest."""
        last_use = {id(tensor): index for index, call in enumerate(self.calls) for tensor in call.input_tensors}
        last_use |= {id(tensor): len(self.calls) for tensor in self.outputs}
        crossing = {id(self.input): self.input}
        for index, call in enumerate(self.calls):
            crossing |= {id(tensor): tensor for tensor in call.outputs}
            crossing = {key: tensor for key, tensor in crossing.items() if last_use.get(key, -1) > index}
            if len(crossing) == 1:
                yield index + 1, next(iter(crossing.values()))

    def part(
        self,
        start: Tensor,
        ends: Sequence[Tensor] | None = None,
        substitutes: Substitutes = lambda calls, ends: {},
    ) -> keras.Model:
        """The calls from `start` to `ends` as a model of its own, with the same layers; without `ends`, to the outputs.

        Args:
            start: the input, or a tensor that alone goes on to all that follows.
            ends: tensors behind it.
            substitutes: what to call instead of some calls.
        """
        wanted = self.outputs if ends is None else tuple(ends)
        calls = self._between(start, wanted)
        instead = substitutes(calls, wanted)
        entry = keras.Input(batch_shape=start.shape, dtype=start.dtype)
        values = {id(start): entry}
        for call in calls:
            args, kwargs = call.arguments.fill_in(values)
            operation = instead.get(id(call), call.operation)
            outputs = args[0] if operation is None else operation(*args, **kwargs)
            values |= {
                id(tensor): value for tensor, value in zip(call.outputs, keras.tree.flatten(outputs), strict=True)
            }
        found = [values[id(tensor)] for tensor in wanted]
        return keras.Model(entry, keras.tree.pack_sequence_as(self._structure, found) if ends is None else found)

    def _between(self, start: Tensor, ends: Iterable[Tensor]) -> list[Call]:
        needed, found = {id(end) for end in ends} - {id(start)}, []
        for call in reversed(self.calls):
            if any(id(tensor) in needed for tensor in call.outputs):
                found.append(call)
                needed |= {id(tensor) for tensor in call.input_tensors} - {id(start)}
        return found[::-1]


def _functional(operation: Any) -> Any | None:
    """The functional graph of a plain functional or sequential model; None for anything else.

    A class of its own may train in a way of its own.
    """
    if isinstance(operation, keras.Sequential) and type(operation) is keras.Sequential:
        return getattr(operation, "_functional", None)
    is_plain = isinstance(operation, keras.Model) and type(operation).__module__.startswith("keras.")
    return operation if is_plain and getattr(operation, "inputs", None) else None


def is_plain(model: keras.Model) -> bool:
    """Whether it is a functional or sequential model of Keras's own class, with one input."""
    functional = _functional(model)
    return functional is not None and len(functional.inputs) == 1


def without(model: keras.Model, is_left_out: Callable[[Any], bool]) -> keras.Model:
    """A model of one input and one output less the operations that `is_left_out`, whose input goes on instead.

    It is of Keras's own class, shares the other layers, and takes and gives a tensor, not a list of one. Models inside
    stay as they are, unless something is left out of them. A model without a graph is returned as it is. Called without
    `training` it is in inference mode: `Resizing`, which has True there by default, would take all behind it along.
    """
    if not getattr(model, "inputs", None):
        return model
    functional = keras.Model(model.inputs, model.outputs)

    def chosen(operation: Any) -> Callable[..., Any]:
        if is_left_out(operation):
            return lambda *args, **kwargs: args[0]
        inner = _functional(operation)
        if inner is None or not any(map(is_left_out, inner._flatten_layers())):
            return _in_inference(operation)
        return lambda *args, **kwargs: inner._run_through_graph(
            args[0] if args else kwargs["inputs"], operation_fn=chosen
        )

    (given,) = functional.inputs
    entry = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
    (found,) = keras.tree.flatten(functional._run_through_graph(entry, operation_fn=chosen))
    return keras.Model(entry, found)


def _in_inference(operation: Any) -> Callable[..., Any]:
    """The operation called so; a caller's own `training` goes before."""
    if not getattr(operation, "_call_has_context_arg", {}).get("training"):
        return operation
    return lambda *args, **kwargs: operation(*args, **kwargs | {"training": False})


def _flat(functional: Any) -> Any:
    entry = keras.Input(batch_shape=functional.inputs[0].shape, dtype=functional.inputs[0].dtype)
    return keras.Model(entry, _run(functional, entry))


def _run(functional: Any, inputs: Any) -> Any:
    return functional._run_through_graph(inputs, operation_fn=_inlined)


def _inlined(operation: Any) -> Callable[..., Any]:
    """The operation; of a model its own operations instead."""
    inner = _functional(operation)
    if inner is None:
        return operation
    return lambda *args, **kwargs: _run(inner, args[0] if args else kwargs["inputs"])
