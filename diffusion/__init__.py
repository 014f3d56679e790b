"""The mathematics of diffusion models: formulations, networks, losses, samplers; needs torch alone."""
