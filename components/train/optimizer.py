"""The optimizer."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="seqline")
class Adam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015); with `weight_decay` AdamW (Loshchilov and Hutter 2019).

    Differs from Keras's in five points. Each variable is updated by one fused operation. Gradients are clipped by
    their global norm after summing over the replicas, so that any number of replicas takes the same step. Accumulated
    gradients are averaged by the weights of their batches, not per batch. The momentum of the weights' average rises to
    `ema_momentum` with the updates, like `tf.train.ExponentialMovingAverage` with `num_updates`: the average spans the
    last tenth of the updates, of which every one counts once, and soon forgets the first weights. The averaged weights
    do not replace the trained ones when `fit` ends, which it does here after every epoch.

    Args:
        clip_norm: Largest global norm of the gradients; 0 for no limit.
        **kwargs: Keras's own arguments.
    """

    def __init__(self, *args: Any, clip_norm: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clip_norm = clip_norm

    def build(self, variables: Any) -> None:
        """Makes the variables of the state."""
        if self.built:
            return
        super().build(variables)
        if self.gradient_accumulation_steps:
            self._batch_weight = self.add_variable((), initializer="ones", name="batch_weight")
            self._accumulated_weight = self.add_variable((), name="accumulated_weight")

    def weigh_batch(self, weight: Any) -> None:
        """Sets the weight of the next gradients among those that are accumulated with them.

        Args:
            weight: Such as the number of tokens whose mean loss they are of; a scalar.
        """
        if self.gradient_accumulation_steps:
            self._batch_weight.assign(weight)

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        if not self.gradient_accumulation_steps:
            super()._backend_apply_gradients(grads, trainable_variables)
            return
        sums = [self._accumulated_gradients[self._get_variable_index(variable)] for variable in trainable_variables]
        weight = tf.convert_to_tensor(self._batch_weight)
        total = self._accumulated_weight + weight
        grads = [
            accumulated + tf.convert_to_tensor(gradient) * tf.cast(weight, gradient.dtype)
            for gradient, accumulated in zip(grads, sums, strict=True)
        ]

        def update() -> None:
            means = [gradient / tf.cast(tf.maximum(total, 1e-9), gradient.dtype) for gradient in grads]
            self._apply_weight_decay(trainable_variables)
            self._backend_update_step(means, trainable_variables, self.learning_rate)
            self._update_model_variables_moving_average(self._trainable_variables)
            self._backend_reset_gradient_accumulators()
            self._accumulated_weight.assign(0.0)

        def accumulate() -> None:
            for accumulated, gradient in zip(sums, grads, strict=True):
                accumulated.assign(gradient)
            self._accumulated_weight.assign(total)

        last = tf.equal((self._iterations + 1) % self.gradient_accumulation_steps, 0)
        tf.cond(last, update, accumulate)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        # Once for all variables: of a large model's graph, they would be a third.
        step = tf.cast(tf.convert_to_tensor(self.iterations), tf.float32) + 1
        betas = tf.constant(self.beta_1), tf.constant(self.beta_2)
        self._scalars = {
            "beta1_power": tf.pow(betas[0], step),
            "beta2_power": tf.pow(betas[1], step),
            "lr": tf.cast(learning_rate, tf.float32),
            "beta1": betas[0],
            "beta2": betas[1],
            "epsilon": tf.constant(self.epsilon),
        }
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient: Any, variable: Any, rate: Any) -> None:
        """Updates one variable in place; the learning rate has been converted before."""
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            grad=tf.convert_to_tensor(gradient),
            **{name: tf.cast(value, variable.dtype) for name, value in self._scalars.items()},
        )

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        if not self.use_ema:
            return
        steps = tf.cast(tf.convert_to_tensor(self.iterations), tf.float32)
        momentum = tf.minimum(float(self.ema_momentum), steps / (steps + 9.0))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            if average is not None:
                average.assign(average + (1.0 - momentum) * (variable - average))

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing: the trained weights remain."""

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        reduced = list(super()._all_reduce_sum_gradients(grads_and_vars))
        if not self.clip_norm:
            return reduced
        clipped, _ = tf.clip_by_global_norm([gradient for gradient, _ in reduced], self.clip_norm)
        return [(gradient, variable) for gradient, (_, variable) in zip(clipped, reduced, strict=True)]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "clip_norm": self.clip_norm}
