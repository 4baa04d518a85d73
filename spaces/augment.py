"""How training images are changed before an encoder sees them: one record a kind of change.

Everything but the affine map is off until its `probability` is raised; a record's other numbers
are then where a search may start. The order in which they apply is fixed: `docs/data.md`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .record import Record, broken_rule

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
_Share = Annotated[float, Field(ge=0.0, lt=1.0)]
_Area = Annotated[float, Field(gt=0.0, le=1.0)]
_Aspect = Annotated[float, Field(ge=1.0, le=10.0)]


class CropConfig(Record):
    """A random part of the image, stretched to the whole.

    Attributes:
        probability: Share of the images that are cropped.
        smallest: The part's area is drawn from [smallest, 1], as a share of the image's.
        aspect: Its width over its height is drawn from [1 / aspect, aspect], on a log scale.
    """

    probability: Probability = 0.0
    smallest: _Area = 0.5
    aspect: _Aspect = 4 / 3


class ElasticConfig(Record):
    """A smooth random displacement of the pixels.

    Attributes:
        probability: Share of the images that are warped.
        strength: Standard deviation of the displacement along an axis, as a share of the side.
        smoothness: Standard deviation of the Gaussian that smooths it, as a share of the side.
    """

    probability: Probability = 0.0
    strength: Annotated[float, Field(ge=0.0, le=0.5)] = 0.02
    smoothness: Annotated[float, Field(ge=0.02, le=0.5)] = 0.1


class FlipConfig(Record):
    """Mirror images.

    Attributes:
        horizontal: Share of the images whose left and right change places.
        vertical: Share of the images whose top and bottom change places.
    """

    horizontal: Probability = 0.0
    vertical: Probability = 0.0


class ColorJitterConfig(Record):
    """Brightness, contrast, saturation and hue, in this order; a grey image has the first two.

    Attributes:
        probability: Share of the images that are changed.
        brightness: Factor of the values drawn from [1 - brightness, 1 + brightness].
        contrast: Factor of their distance from the image's mean luma, likewise.
        saturation: Factor of their distance from the pixel's luma, likewise.
        hue: Turn of the hue drawn from [-hue, hue]; 1 is the whole circle.
    """

    probability: Probability = 0.0
    brightness: Probability = 0.4
    contrast: Probability = 0.4
    saturation: Probability = 0.4
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1


class GreyConfig(Record):
    """Colour images without their colour.

    Attributes:
        probability: Share of the images whose channels all become their luma.
    """

    probability: Probability = 0.0


class BlurConfig(Record):
    """A Gaussian blur.

    Attributes:
        probability: Share of the images that are blurred.
        smallest: The standard deviation is drawn from [smallest, largest], pixels.
        largest: See `smallest`.
    """

    probability: Probability = 0.0
    smallest: Annotated[float, Field(gt=0.0, le=32.0)] = 0.1
    largest: Annotated[float, Field(gt=0.0, le=32.0)] = 1.5

    @model_validator(mode="after")
    def _smallest_is_smaller(self) -> Self:
        if self.smallest > self.largest:
            raise broken_rule(
                "smallest",
                "must be <= largest",
                f"smallest={self.smallest:g}, largest={self.largest:g}",
                "lower it, or raise largest",
            )
        return self


class ErasingConfig(Record):
    """A random rectangle of the image, replaced.

    Attributes:
        probability: Share of the images that lose one.
        smallest: The rectangle's area is drawn from [smallest, largest], as a share of the whole.
        largest: See `smallest`.
        aspect: Its width over its height is drawn from [1 / aspect, aspect], on a log scale.
        fill: By `zero` (the background), the image's own `mean`, or uniform `noise`.
    """

    probability: Probability = 0.0
    smallest: _Area = 0.02
    largest: _Area = 0.33
    aspect: _Aspect = 10 / 3
    fill: Literal["zero", "mean", "noise"] = "zero"

    @model_validator(mode="after")
    def _smallest_is_smaller(self) -> Self:
        if self.smallest > self.largest:
            raise broken_rule(
                "smallest",
                "must be <= largest",
                f"smallest={self.smallest:g}, largest={self.largest:g}",
                "lower it, or raise largest",
            )
        return self


class DropoutConfig(Record):
    """Single pixels set to 0, all channels of a pixel together.

    Attributes:
        probability: Share of the images that lose some.
        share: Of the pixels of such an image, each on its own.
    """

    probability: Probability = 0.0
    share: _Share = 0.1


class JitterConfig(Record):
    """Gaussian noise on every value of a series.

    Attributes:
        probability: Share of the series that are changed.
        deviation: Standard deviation of the noise, in units of that of the series' own channel.
    """

    probability: Probability = 0.0
    deviation: Annotated[float, Field(ge=0.0, le=10.0)] = 0.1


class ScalingConfig(Record):
    """A factor for each channel of a series.

    Attributes:
        probability: Share of the series that are changed.
        deviation: Standard deviation of the factor, whose mean is 1.
    """

    probability: Probability = 0.0
    deviation: Annotated[float, Field(ge=0.0, le=10.0)] = 0.2


class PermutationConfig(Record):
    """Segments of a series that change places.

    Attributes:
        probability: Share of the series that are cut.
        segments: Most segments; the number is drawn from 2 to it.
    """

    probability: Probability = 0.0
    segments: Annotated[int, Field(ge=2, le=64)] = 5


class SeriesAugmentConfig(Record):
    """How training series are changed; everything is off until its probability is raised.

    Attributes:
        permutation: Of segments, first.
        scaling: Of channels, second.
        jitter: Of values, last.
    """

    permutation: PermutationConfig = PermutationConfig()
    scaling: ScalingConfig = ScalingConfig()
    jitter: JitterConfig = JitterConfig()


class AugmentConfig(Record):
    """How every training image is changed: a random affine map about its centre, and what is on.

    Attributes:
        degrees: Rotation drawn from [-degrees, degrees].
        translate: Shift of each axis drawn from [-translate, translate], as a share of the side.
        scale: Zoom of each axis drawn from [1 - scale, 1 + scale].
        shear: Shear coefficient drawn from [-shear, shear].
        probability: Share of the images that are mapped; the rest stay as they are.
        crop: A random part, stretched to the whole.
        elastic: A smooth displacement.
        flip: Mirror images.
        color_jitter: Brightness, contrast, saturation, hue.
        grey: No colour.
        blur: Gaussian.
        erasing: A rectangle, replaced.
        dropout: Single pixels, set to 0.
        series: What is done to series; what stands above is done to images alone.
    """

    degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 10.0
    translate: _Share = 0.1
    scale: _Share = 0.15
    shear: _Share = 0.2
    probability: Probability = 1.0
    crop: CropConfig = CropConfig()
    elastic: ElasticConfig = ElasticConfig()
    flip: FlipConfig = FlipConfig()
    color_jitter: ColorJitterConfig = ColorJitterConfig()
    grey: GreyConfig = GreyConfig()
    blur: BlurConfig = BlurConfig()
    erasing: ErasingConfig = ErasingConfig()
    dropout: DropoutConfig = DropoutConfig()
    series: SeriesAugmentConfig = SeriesAugmentConfig()
