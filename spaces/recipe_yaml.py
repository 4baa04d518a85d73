"""A recipe as YAML text, and back."""

from pydantic import ValidationError

from .distributions import Distribution
from .explain import explain
from .recipe import Recipe
from .sections import parameters, read_tree, resolve
from .source import Problem, SpaceError, Value, read_source, write_yaml


def recipe_to_yaml(recipe: Recipe) -> str:
    """The recipe as YAML, every value written out; floats read back to the last bit."""
    return write_yaml(recipe.to_dict())


def recipe_from_yaml(text: str, origin: str) -> Recipe:
    """The recipe that a YAML text spells out; what is left out takes its default.

    Args:
        text: As `recipe_to_yaml` writes it, or written by hand.
        origin: Where it came from, for messages.

    Raises:
        SpaceError: If it is no recipe: one line for each problem, with line, rule and fix.
    """
    root = read_tree(read_source(text, origin))
    searched = list(parameters(root))
    if searched:
        fix = "write one value or section; a space goes to tripletune search"
        rule = "must be fixed in a recipe, got a choice"
        problems = [Problem(None, parameter.name, f"{rule}; {fix}") for parameter in searched]
        raise SpaceError.of(problems, origin)
    resolved = resolve(root, _ask_nothing)
    try:
        return Recipe.model_validate(resolved.values)
    except ValidationError as error:
        raise SpaceError.of(explain(error, resolved), origin) from error


def _ask_nothing(name: str, distribution: Distribution) -> Value:
    raise AssertionError(f"a recipe holds nothing to choose, got {name} from {distribution}")
