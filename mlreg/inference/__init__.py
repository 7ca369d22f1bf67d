"""What the estimate is worth: covariance, intervals, tests, prediction."""
