"""Speed and accuracy over time, by asv (airspeed velocity): measure commits, compare two of them, publish the history."""
