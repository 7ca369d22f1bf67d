"""What other packages call the attributes of a fit, for the error of who types them."""

__all__ = ["ELSEWHERE"]

ELSEWHERE = {
    "coef": "params",
    "coef_": "params, the intercept included",
    "coefficients": "params",
    "intercept_": "params, at the place of 'Intercept' in names",
    "bse": "std_errors",
    "tvalues": "t_values",
    "pvalues": "p_values",
    "rsquared": "r_squared",
    "rsquared_adj": "r_squared_adj",
    "llf": "log_likelihood",
    "nobs": "n_rows",
    "resid": "residuals()",
    "fittedvalues": "fitted_values()",
    "fvalue": "f_test.statistic",
    "f_pvalue": "f_test.p_value",
    "scale": "sigma, of the MLE, or residual_std_error**2",
    "ssr": "rss",
    "mse_resid": "residual_std_error**2",
    "cov_params": "covariance()",
    "vcov": "covariance()",
    "get_robustcov_results": "with_covariance(kind)",
    "get_prediction": "predict(X_new, interval='mean')",
    "get_influence": "influence()",
    "t_test": "test(hypothesis), or contrasts(what)",
    "wald_test": "test(hypothesis)",
    "compare_f_test": "mlreg.anova(small, large)",
}
"""From the names of statsmodels, scikit-learn and R."""
