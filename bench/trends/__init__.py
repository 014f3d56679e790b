"""Speed and accuracy over time, by asv (airspeed velocity): measure commits, compare two, publish the history."""
