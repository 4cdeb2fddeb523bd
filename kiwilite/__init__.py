"""kiwilite compiles KIWI appliance descriptions into verified, resettable disk images."""

__version__ = "0.1.0"
