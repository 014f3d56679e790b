"""The mathematics of diffusion models: formulations, networks, losses, samplers. Needs torch alone."""
