#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a logistic regression that tells malignant from benign samples, with the Python standard library alone.

Fitted by mini-batch gradient descent with momentum on standardized features. One sample in five is held out
and never trained on; the job succeeds only when more than 90 % of those are classified correctly.
It is an example of a training job, not a medical device.
"""

import argparse
import hashlib
import json
import math
import os
import random
import sys
import time
from operator import mul

FEATURES = 30
HELD_OUT_EVERY = 5
BATCH_SAMPLES = 16
LEARNING_RATE = 0.02
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-3
EPOCHS_MAX = 10_000
ACCURACY_MIN = 0.90


def parse_arguments():
    parser = argparse.ArgumentParser(description="Train a classifier of tumour samples.")
    data_help = "CSV with a header, a row a sample: 30 features, then 0 for malignant or 1 for benign"
    parser.add_argument("data", nargs="?", default="breast_cancer.csv", help=data_help)
    parser.add_argument("model", nargs="?", default="model.json", help="where to write the trained model")
    parser.add_argument("--epochs", type=int, default=150, help="passes over the samples (default %(default)s)")
    parser.add_argument("--seed", type=int, default=20261123, help="fixes the split and the order of the samples")
    arguments = parser.parse_args()
    if not 1 <= arguments.epochs <= EPOCHS_MAX:
        parser.error(f"--epochs must be between 1 and {EPOCHS_MAX}")
    return arguments


def read_samples(raw):
    """Turns the file's bytes into a list of (features, 1 if malignant else 0)."""
    samples = []
    # The first line counts the rows and names the two classes.
    for number, line in enumerate(raw.decode("ascii").splitlines()[1:], start=2):
        *features, benign = [float(value) for value in line.split(",")]
        if len(features) != FEATURES or benign not in (0.0, 1.0) or not all(map(math.isfinite, features)):
            raise ValueError(f"line {number} is not {FEATURES} finite features and a label 0 or 1")
        samples.append((features, 1 - int(benign)))
    if len(samples) < HELD_OUT_EVERY:
        raise ValueError(f"only {len(samples)} samples; at least {HELD_OUT_EVERY} are needed to hold one out")
    return samples


def split(samples, seed):
    """Shuffles, then holds out one sample in five."""
    order = samples[:]
    random.Random(seed).shuffle(order)
    return [s for n, s in enumerate(order) if n % HELD_OUT_EVERY], order[::HELD_OUT_EVERY]


def mean_and_deviation(samples):
    """Means and standard deviations of the training samples alone: the held-out ones must not shape the model."""
    columns = list(zip(*(features for features, _ in samples)))
    means = [math.fsum(column) / len(column) for column in columns]
    deviations = [
        math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(column))
        for column, mean in zip(columns, means)
    ]
    # A constant feature tells nothing; dividing it by 1 keeps it at zero.
    return means, [deviation or 1.0 for deviation in deviations]


def standardize(samples, means, deviations):
    # The constant input carries the bias, so that bias and weights are learned by one rule.
    return [
        ([(f - m) / d for f, m, d in zip(features, means, deviations)] + [1.0], label) for features, label in samples
    ]


def probability_of_malignant(weights, features):
    score = sum(map(mul, weights, features))
    # exp() is only taken of a number that is not positive, so it cannot overflow.
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    power = math.exp(score)
    return power / (1.0 + power)


def train(samples, epochs, seed):
    weights = [0.0] * (FEATURES + 1)
    velocity = [0.0] * (FEATURES + 1)
    chance = random.Random(seed + 1)
    order = samples[:]
    started = time.monotonic()
    for epoch in range(1, epochs + 1):
        chance.shuffle(order)
        loss = 0.0
        for start in range(0, len(order), BATCH_SAMPLES):
            batch = order[start : start + BATCH_SAMPLES]
            gradient = [0.0] * (FEATURES + 1)
            for features, label in batch:
                probability = probability_of_malignant(weights, features)
                loss -= math.log(max(probability if label else 1.0 - probability, 1e-300))
                error = (probability - label) / len(batch)
                gradient = [g + error * feature for g, feature in zip(gradient, features)]
            velocity = [
                MOMENTUM * v - LEARNING_RATE * (g + WEIGHT_DECAY * w) for v, g, w in zip(velocity, gradient, weights)
            ]
            weights = [w + v for w, v in zip(weights, velocity)]
        elapsed = time.monotonic() - started
        # Flushed, because whoever follows the job reads its output through a file.
        print(f"epoch {epoch}/{epochs}  loss {loss / len(order):.4f}  elapsed {elapsed:.1f} s", flush=True)
    return weights


def write_model(path, model):
    # Written beside and renamed, so that a job killed here leaves no half of a model under its name.
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(model, file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(partial, path)


def main():
    arguments = parse_arguments()
    try:
        with open(arguments.data, "rb") as file:
            raw = file.read()
        samples = read_samples(raw)
    except (OSError, ValueError) as error:
        sys.exit(f"cannot read the samples in {arguments.data}: {error}")
    training, held_out = split(samples, arguments.seed)
    # Rounded before they are used, here and below: what is written is what was tested, and the last bits, in
    # which Python versions differ, do not reach the file.
    means, deviations = ([round(value, 9) for value in values] for values in mean_and_deviation(training))
    print(f"training on {len(training)} samples, {len(held_out)} held out, seed {arguments.seed}", flush=True)
    weights = train(standardize(training, means, deviations), arguments.epochs, arguments.seed)
    weights = [round(weight, 6) for weight in weights]

    tested = standardize(held_out, means, deviations)
    answers = [(probability_of_malignant(weights, features) > 0.5, label) for features, label in tested]
    accuracy = sum(said == label for said, label in answers) / len(answers)
    malignant = sum(label for _, label in answers)
    found = sum(said and label for said, label in answers)
    write_model(
        arguments.model,
        {
            "kind": "logistic",
            "accuracy": round(accuracy, 4),
            "epochs": arguments.epochs,
            "seed": arguments.seed,
            "training_data_sha256": hashlib.sha256(raw).hexdigest(),
            "trained_on": len(training),
            "held_out": len(held_out),
            "held_out_malignant": malignant,
            "held_out_malignant_found": found,
            "feature_means": means,
            "feature_deviations": deviations,
            "weights": weights[:-1],
            "bias": weights[-1],
        },
    )
    # Accuracy alone hides the costlier mistake: a malignant sample called benign.
    print(f"malignant samples found: {found} of {malignant}", flush=True)
    print(f"held-out accuracy {accuracy:.4f}", flush=True)
    if accuracy <= ACCURACY_MIN:
        sys.exit(f"the held-out accuracy must be above {ACCURACY_MIN}: train for more epochs")


if __name__ == "__main__":
    main()
