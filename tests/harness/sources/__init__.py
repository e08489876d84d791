"""The databases that the harness knows: one file each, found by name."""
import importlib


def load(name):
    return importlib.import_module("." + name, __name__).Source
