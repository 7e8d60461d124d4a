"""What a space has to know of the job."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """The images, the classes, and how long a trial lasts at most."""

    image_size: int
    classes: int
    training_images: int
    max_epochs: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image: a square in RGB."""
        return (self.image_size, self.image_size, 3)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of batches in one epoch, the last and smaller one included."""
        return -(-self.training_images // batch_size)
