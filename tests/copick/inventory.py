"""Prints every public name of the PyPI package copick with its parameters, as JSON; run by its own interpreter."""

import importlib
import inspect
import json
import pkgutil

import copick


def parameters(function):
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[each.name, each.kind.name, None if each.default is each.empty else repr(each.default)] for each in found]


def member(clazz, name):
    found = inspect.getattr_static(clazz, name)
    if isinstance(found, property):
        return ["settable" if found.fset else "property"]
    return ["method", parameters(getattr(clazz, name))] if callable(getattr(clazz, name)) else ["value"]


def is_own(clazz, name):
    owner = next((each for each in clazz.__mro__ if name in vars(each)), None)
    decorators = getattr(clazz, "__pydantic_decorators__", None)
    if decorators is not None:  # what pydantic calls is not for callers
        hooks = {*decorators.field_validators, *decorators.model_validators, *decorators.validators}
        if name in hooks:
            return False
    return owner is not None and owner.__module__.startswith("copick") and name != "model_config"


def described(module, name, value):
    listed = name in getattr(module, "__all__", ())
    if not listed and (getattr(value, "__module__", None) or module.__name__) != module.__name__:
        return None
    if inspect.isclass(value):
        members = {each: member(value, each) for each in dir(value) if not each.startswith("_") and is_own(value, each)}
        members.update({key: ["field"] for key in getattr(value, "model_fields", ())})
        return ["class", parameters(value), members]
    if inspect.isfunction(value):
        return ["function", parameters(value)]
    return ["value"] if name.isupper() or listed else None


told = {}
for name in ["copick", *sorted(each.name for each in pkgutil.walk_packages(copick.__path__, "copick."))]:
    module = importlib.import_module(name)
    names = told[name] = {}
    for each, value in sorted(vars(module).items()):
        if each.startswith("_") or inspect.ismodule(value) or each == "TYPE_CHECKING":
            continue
        if hasattr(value, "callback") and hasattr(value, "params"):
            names[each] = ["command"]
        elif (found := described(module, each, value)) is not None:
            names[each] = found
print(json.dumps(told))
