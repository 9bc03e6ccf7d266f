"""nn.Model as estimators of scikit-learn 1.6 or later: NNClassifier and NNRegressor."""
from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from . import Layer, Model


class _Network(BaseEstimator):  # type: ignore[misc]
    """hidden_layers: widths, which get the activation, or layers as for nn.Model. options: further
    ones, such as {"clip_norm": 1}. None means nn.h's default. An integer random_state is the seed.
    After fit, model_ is the nn.Model and history_ what its fit returned."""

    def __init__(self, hidden_layers: Sequence[Union[int, Tuple[int, str], Layer]] = (100,), *,
                 activation: str = "relu", optimizer: str = "adam", scaling: str = "standard",
                 learning_rate: Optional[float] = None, batch_size: Optional[int] = None,
                 epochs: Optional[int] = None, weight_decay: Optional[float] = None,
                 options: Optional[Dict[str, Any]] = None, random_state: Any = None) -> None:
        self.hidden_layers, self.activation, self.optimizer = hidden_layers, activation, optimizer
        self.scaling, self.learning_rate, self.batch_size = scaling, learning_rate, batch_size
        self.epochs, self.weight_decay, self.options = epochs, weight_decay, options
        self.random_state = random_state

    def _fit(self, x: Any, y: Any, last: Tuple[int, str], **fixed: Any) -> None:
        given = self.get_params(deep=False)
        hidden, activation = given.pop("hidden_layers"), given.pop("activation")
        options, seed = given.pop("options") or {}, given.pop("random_state")
        if not hasattr(seed, "__index__"):
            seed = check_random_state(seed).randint(2**31 - 1)
        layers: Any = [(n, activation) if hasattr(n, "__index__") else n for n in hidden]
        self.model_ = Model(x.shape[1], [*layers, last], seed)
        self.history_ = self.model_.fit(x, y, **{"seed": seed, **fixed, **given, **options})

    def _outputs(self, x: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, x, reset=False)).astype(np.float64)


class NNClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    __doc__ = f"Classifies by cross-entropy.\n\n    {_Network.__doc__}"

    def fit(self, X: Any, y: Any) -> NNClassifier:
        """Trains new weights. Two classes have one output, sigmoid; more have softmax."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("NNClassifier needs two classes or more; y has one class")
        if len(self.classes_) == 2:
            self._fit(X, labels, (1, "sigmoid"), loss="binary_cross_entropy")
        else:
            self._fit(X, labels, (len(self.classes_), "softmax"), loss="cross_entropy")
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probabilities [rows x classes], in the order of classes_."""
        y = self._outputs(X)
        return np.hstack([1 - y, y]) if y.shape[1] == 1 else y / y.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


class NNRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    __doc__ = f"Predicts one number or more, which it scales.\n\n    {_Network.__doc__}"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> NNRegressor:
        """Trains new weights; y is [rows] or [rows x targets]."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        self._targets = y.shape[1:]
        self._fit(X, y, (int(np.prod(self._targets)), "linear"), target_scaling="standard")
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The targets, in the shape of fit's y."""
        return self._outputs(X).reshape(-1, *self._targets)
