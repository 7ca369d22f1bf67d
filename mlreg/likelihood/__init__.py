"""What is assumed: noise, likelihood and blocks of rows, as pure functions of arrays."""
