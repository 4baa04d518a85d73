"""How much better than it is the best of many looks: the winner's curse.

The trial with the highest score is partly the best and partly the luckiest. Its score on fresh
episodes is lower, and the more so the more trials there were and the closer they lie.

T trials, E episodes.
"""

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 2000


def expected_optimism(scores: ArrayLike) -> float:
    """By how much the best of the trials' mean scores is expected to exceed its own true mean.

    A bootstrap of the choice: the trials' means are taken for the truth, noise is added as the
    episodes' covariance has it (what all trials share cancels), the highest is chosen, and the
    noise it was chosen with is averaged over `DRAWS` draws. Taken as they are, the observed means
    would be too far apart, since they hold the same noise once already, and the choice would look
    too easy. So the leading trials (those within four standard errors of the best) are first
    drawn together until their spread is what is left after the noise is taken away.

    What is estimated is the luck of the *episodes*, for the trained weights as they are. That of
    the training seed comes on top, and only training again shows it (`tripletune confirm`).

    Args:
        scores: Accuracy of each trial on each frozen episode, shape (T, E), E >= 2.

    Returns:
        At least 0; 0 for a single trial.

    Source: Tibshirani, Tibshirani 2009, A bias correction for the minimum error rate in
    cross-validation, Annals of Applied Statistics 3 (a bias of the minimum, from the folds);
    Efron, Tibshirani 1993, An Introduction to the Bootstrap, 10.2 (bias by the bootstrap). The
    shrinkage is ours.
    """
    table = np.asarray(scores, np.float64)
    num_trials, num_episodes = table.shape
    if num_trials < 2:
        return 0.0
    means = table.mean(axis=1)
    common = table.mean(axis=0)
    own = table - common  # what trials share moves all of them alike
    covariance = np.cov(own) / num_episodes  # (T, T) of the means
    noise = np.sqrt(np.diag(covariance))
    leads = means >= means.max() - 4 * np.median(noise) * np.sqrt(2)
    truth = means.copy()
    if leads.sum() > 1:
        centre = means[leads].mean()
        spread = means[leads].var(ddof=1)
        # Mean variance of a difference of two, halved: that of each one's own noise.
        within = covariance[np.ix_(leads, leads)]
        count = int(leads.sum())
        own_noise = (np.trace(within) - within.sum() / count) / (count - 1)
        kept = np.sqrt(max(0.0, 1.0 - own_noise / spread)) if spread > 0 else 0.0
        truth[leads] = centre + kept * (means[leads] - centre)
    random = np.random.default_rng(0)
    draws = random.multivariate_normal(
        np.zeros(num_trials), covariance, size=DRAWS, method="eigh"
    )  # (DRAWS, T)
    chosen = np.argmax(truth + draws, axis=1)
    return max(0.0, float(draws[np.arange(DRAWS), chosen].mean()))
