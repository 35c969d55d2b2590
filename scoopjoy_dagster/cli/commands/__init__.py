"""The commands by topic: arguments in, exit code out. What they do stands in the modules beside this package."""
