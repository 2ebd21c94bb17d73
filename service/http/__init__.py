"""The doors for devices, people and operators: everything that speaks HTTP."""
