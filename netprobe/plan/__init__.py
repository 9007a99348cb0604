"""From a profile and a budget to stages, and from ranks to rounds of pairs."""
