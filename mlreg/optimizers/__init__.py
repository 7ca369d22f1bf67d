"""How the NLL is minimised: exact least squares, minibatch SGD, scipy.optimize."""
