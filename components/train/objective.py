"""The training objective."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from seqline.components.train.devices import several_workers
from seqline.components.train.fine_tuning import prepare_fine_tuning
from seqline.components.train.loss import smoothed_cross_entropy
from seqline.components.train.optimizer import Adam
from seqline.components.train.options import Options
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.pointer import Pointed
from seqline.schema.auto import number


class TrainingModel(keras.Model):
    """A model with its training objective: label-smoothed cross-entropy per target token.

    Of a pointer-generator it is that of the mixture of generated and copied tokens, whose smoothing is that of the
    generated ones.

    Args:
        model: The model to train.
        label_smoothing: Share of the probability spread over the whole vocabulary (Szegedy et al. 2016).
        r_drop: Weight of the divergence between the outputs of two dropout masks (R-Drop, Liang et al. 2021); 0 for one
            mask. Of a pointer-generator it is that of the generated tokens.
        parts: Parts of a batch that are computed at the same time, each on cores of its own.
    """

    def __init__(
        self, model: LanguageModel, label_smoothing: float = 0.1, r_drop: float = 0.0, parts: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model, self.label_smoothing, self.r_drop, self.parts = model, label_smoothing, r_drop, parts
        self.tokens = keras.metrics.Sum(name="tokens")
        self.likelihood = keras.metrics.Mean(name="nll")
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        """Reset by Keras at the start of every epoch."""
        return [*super().metrics, self.tokens, self.likelihood, self.accuracy]

    def call(self, inputs: Any, training: bool = False) -> list[Any]:
        """Computes the hidden states of each part of a batch; the loss computes the logits, a chunk at a time.

        In training with `r_drop`, each row of a part is there twice, one after the other.
        """
        copies = 2 if training and self.r_drop else 1
        found = []
        for part in _parts(inputs, self.parts):
            if copies > 1:
                part = tf.nest.map_structure(lambda tensor: tf.repeat(tensor, copies, axis=0), part)
            found.append(self.model.hidden(part, training))
        return found

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Computes the loss of one batch and updates the metrics.

        Args:
            x: Not used.
            y: Expected tokens, int32 `[batch, length]`, padded.
            y_pred: What `call` returned: for each part of the batch hidden states, `[rows, length, hidden_dim]`, or
                with a pointer `Pointed`.
            sample_weight: Not used.
            training: Whether to smooth the labels; otherwise the metrics are updated.

        Returns:
            Mean over the target's tokens, a scalar.
        """
        copies = 2 if training and self.r_drop else 1
        parts = [self._rows(*part, copies) for part in zip(_parts(y, len(y_pred)), y_pred, strict=True)]
        count = tf.add_n([tf.reduce_sum(real) for _, _, real in parts])
        self.tokens.update_state(count)
        if training:
            optimizer = getattr(self, "optimizer", None)  # a model that is not compiled has none
            if isinstance(optimizer, Adam):
                optimizer.weigh_batch(count)
            loss_of = self._loss if copies == 1 else self._loss_of_copies
            # Replicas hold different numbers of tokens; their gradients are summed.
            return tf.add_n([loss_of(*part) for part in parts]) / tf.maximum(_over_replicas(count), 1.0)
        measured = [self._measured(*part) for part in parts]
        likelihood, hits = (tf.add_n(of_parts) / tf.maximum(count, 1.0) for of_parts in zip(*measured, strict=True))
        self.likelihood.update_state(likelihood, sample_weight=count)
        self.accuracy.update_state(hits, sample_weight=count)
        return likelihood

    def _rows(self, expected: Any, states: Any, copies: int) -> tuple[Any, Any, Any]:
        """The labels of a part's rows, their states, and 1 for each that counts, else 0."""
        labels = tf.reshape(expected, [-1])
        states = tf.nest.map_structure(lambda tensor: _flat(tensor, copies), states)
        predicted = tf.not_equal(labels, self.model.config.padding)
        if not self.jit_compile:
            # Only XLA needs static shapes; without it, skip the logits of padding and of a gpt's prompts.
            labels, states, predicted = tf.nest.map_structure(
                lambda tensor: tf.boolean_mask(tensor, predicted), (labels, states, predicted)
            )
        return tf.maximum(labels, 0), states, tf.cast(predicted, tf.float32)

    def _measured(self, labels: Any, states: Any, real: Any) -> tuple[Any, Any]:
        """The sum of the rows' negative log likelihoods, and the number of those that are guessed."""
        logits = self.model.logits(states)
        guessed = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return (
            tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits) * real),
            tf.reduce_sum(tf.cast(tf.equal(guessed, labels), tf.float32) * real),
        )

    def _loss_of_copies(self, labels: Any, states: Any, real: Any) -> Any:
        """The sum of the losses of rows `[rows, 2, ...]`, each the mean of its two copies'."""
        states = tf.nest.map_structure(lambda tensor: _flat(tensor, 1), states)
        # Liang et al. weigh the mean of both divergences by r_drop, and the sum of both cross-entropies by 1.
        return self._loss(tf.repeat(labels, 2), states, tf.repeat(real, 2) / 2, self.r_drop / 2)

    def _loss(self, labels: Any, states: Any, real: Any, consistency: float = 0.0) -> Any:
        """The sum of the losses of rows."""
        smoothing, trains_output = self.label_smoothing, self._trains_output()

        def generated(states: Any, odds: Any = None) -> Any:
            factors = self.model.output_factors(states)
            return smoothed_cross_entropy(*factors, labels, real, smoothing, trains_output, odds, consistency)

        if not isinstance(states, Pointed):
            return generated(states)
        loss = generated(states.states, states.odds(labels))
        return loss - (1 - smoothing) * tf.reduce_sum(tf.math.log_sigmoid(states.gate) * real)

    def _trains_output(self) -> bool:
        return any(
            weight is not None and weight.trainable for weight in (self.model.output_embedding, self.model.output_bias)
        )

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Returns the metrics so far, of this replica.

        With several workers Keras averages along the first axis (`reduce_per_replica`), so there they get one.
        """
        metrics = super().compute_metrics(x, y, y_pred, sample_weight)
        if several_workers(self.distribute_strategy):
            return {name: tf.expand_dims(value, 0) for name, value in metrics.items()}
        return dict(metrics)

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the model is already built, and Keras's symbolic build fails on the batches of workers."""


def make_training_model(
    config: TransformerConfig,
    options: Options,
    compiled: bool,
    load: Callable[[TrainingModel], None] = lambda model: None,
    parts: int = 1,
) -> TrainingModel:
    """Makes the compiled model with objective and optimizer; must be called in the strategy's scope.

    Args:
        config: The model's configuration.
        options: Options of training; the trainer sets the learning rate before each update.
        compiled: Whether XLA compiles the step.
        load: Loads the first weights.
        parts: Parts of a batch that are computed at the same time.
    """
    model = TrainingModel(make_model(config), number(options.label_smoothing), options.r_drop, parts)
    load(model)
    prepare_fine_tuning(model.model, options)
    momentum = number(options.ema_momentum)
    optimizer = Adam(
        options.learning_rate,
        beta_2=number(options.beta_2),
        epsilon=1e-9,
        weight_decay=options.weight_decay or None,
        clip_norm=options.clip_norm,
        gradient_accumulation_steps=options.gradient_accumulation_steps
        if options.gradient_accumulation_steps > 1
        else None,
        use_ema=momentum > 0,
        ema_momentum=momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "scale", "beta", "gamma"])
    model.compile(optimizer=optimizer, jit_compile=compiled)
    optimizer.build(model.trainable_variables)
    return model


def _parts(values: Any, number: int) -> list[Any]:
    """Splits the rows of a batch into equal parts, of which the last has what is left."""
    if number == 1:
        return [values]
    tensors = tf.nest.flatten(values)
    rows = tf.shape(tensors[0])[0]
    sizes = [*[rows // number] * (number - 1), rows - (number - 1) * (rows // number)]
    pieces = zip(*(tf.split(tensor, sizes, num=number) for tensor in tensors), strict=True)
    return [tf.nest.pack_sequence_as(values, piece) for piece in pieces]


def _flat(tensor: Any, copies: int) -> Any:
    """`[rows, length, ...]` to `[rows * length, ...]`, or `[rows * 2, length, ...]` to `[rows * length, 2, ...]`."""
    shape = tf.shape(tensor)
    if copies == 1:
        return tf.reshape(tensor, tf.concat([[-1], shape[2:]], axis=0))
    tensor = tf.reshape(tensor, tf.concat([[-1, copies], shape[1:]], axis=0))
    return tf.reshape(tf.experimental.numpy.swapaxes(tensor, 1, 2), tf.concat([[-1, copies], shape[2:]], axis=0))


def _over_replicas(value: Any) -> Any:
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return value
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, value)
