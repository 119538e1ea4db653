#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a softmax classifier on the handwritten digits, with the Python standard library alone.

Multinomial logistic regression, fitted by mini-batch gradient descent with momentum. One image in five is
held out and never trained on; the job succeeds only when more than 90 % of those are read correctly.
"""

import argparse
import gzip
import hashlib
import json
import math
import os
import random
import sys
import time
import zlib
from operator import mul

CLASSES = 10
PIXELS = 64
PIXEL_MAX = 16
HELD_OUT_EVERY = 5
BATCH_IMAGES = 16
LEARNING_RATE = 0.05
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
EPOCHS_MAX = 1000
ACCURACY_MIN = 0.90


def parse_arguments():
    parser = argparse.ArgumentParser(description="Train a digit classifier.")
    data_help = "gzipped CSV, a row an image: 64 pixels 0..16, then the digit"
    parser.add_argument("data", nargs="?", default="digits.csv.gz", help=data_help)
    parser.add_argument("model", nargs="?", default="model.json", help="where to write the trained model")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the images (default %(default)s)")
    parser.add_argument("--seed", type=int, default=20261123, help="fixes the split and the order of the images")
    arguments = parser.parse_args()
    if not 1 <= arguments.epochs <= EPOCHS_MAX:
        parser.error(f"--epochs must be between 1 and {EPOCHS_MAX}")
    return arguments


def read_images(raw):
    """Turns the file's bytes into a list of (pixels with a constant 1 appended, digit)."""
    images = []
    for number, line in enumerate(gzip.decompress(raw).decode("ascii").splitlines(), start=1):
        values = [int(value) for value in line.split(",")]
        pixels, digit = values[:-1], values[-1]
        if len(pixels) != PIXELS or min(pixels) < 0 or max(pixels) > PIXEL_MAX or not 0 <= digit < CLASSES:
            raise ValueError(f"line {number} is not {PIXELS} pixels of 0..{PIXEL_MAX} and a digit")
        # The constant input carries the bias, so that bias and weights are learned by one rule.
        images.append(([pixel / PIXEL_MAX for pixel in pixels] + [1.0], digit))
    if len(images) < HELD_OUT_EVERY:
        raise ValueError(f"only {len(images)} images; at least {HELD_OUT_EVERY} are needed to hold one out")
    return images


def split(images, seed):
    """Shuffles, then holds out one image in five."""
    order = images[:]
    random.Random(seed).shuffle(order)
    return [i for n, i in enumerate(order) if n % HELD_OUT_EVERY], order[::HELD_OUT_EVERY]


def scores_of(weights, pixels):
    return [sum(map(mul, row, pixels)) for row in weights]


def probabilities_of(scores):
    # Subtracting the largest score keeps exp() from overflowing and changes no probability.
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def train_on_batch(weights, velocity, batch):
    """One step down the gradient of the batch's mean cross-entropy; returns the summed loss before the step."""
    gradient = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
    loss = 0.0
    for pixels, digit in batch:
        errors = probabilities_of(scores_of(weights, pixels))
        loss -= math.log(max(errors[digit], 1e-300))
        errors[digit] -= 1.0
        for row, error in enumerate(errors):
            gradient[row] = [g + error * pixel for g, pixel in zip(gradient[row], pixels)]
    scale = LEARNING_RATE / len(batch)
    decay = LEARNING_RATE * WEIGHT_DECAY
    for row in range(CLASSES):
        velocity[row] = [
            MOMENTUM * v - scale * g - decay * w for v, g, w in zip(velocity[row], gradient[row], weights[row])
        ]
        weights[row] = [w + v for w, v in zip(weights[row], velocity[row])]
    return loss


def train(images, epochs, seed):
    weights = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
    velocity = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
    chance = random.Random(seed + 1)
    order = images[:]
    started = time.monotonic()
    for epoch in range(1, epochs + 1):
        chance.shuffle(order)
        loss = sum(
            train_on_batch(weights, velocity, order[start : start + BATCH_IMAGES])
            for start in range(0, len(order), BATCH_IMAGES)
        )
        elapsed = time.monotonic() - started
        # Flushed, because whoever follows the job reads its output through a file.
        print(f"epoch {epoch}/{epochs}  loss {loss / len(order):.4f}  elapsed {elapsed:.1f} s", flush=True)
    return weights


def accuracy_of(weights, images):
    right = 0
    for pixels, digit in images:
        scores = scores_of(weights, pixels)
        right += scores.index(max(scores)) == digit
    return right / len(images)


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
        images = read_images(raw)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        sys.exit(f"cannot read the images in {arguments.data}: {error}")
    training, held_out = split(images, arguments.seed)
    print(f"training on {len(training)} images, {len(held_out)} held out, seed {arguments.seed}", flush=True)
    weights = train(training, arguments.epochs, arguments.seed)
    # Rounded before it is measured: what is written is what was tested, and the last bits, in which Python
    # versions differ, do not reach the file.
    weights = [[round(weight, 6) for weight in row] for row in weights]
    accuracy = accuracy_of(weights, held_out)
    write_model(
        arguments.model,
        {
            "kind": "softmax",
            "accuracy": round(accuracy, 4),
            "epochs": arguments.epochs,
            "seed": arguments.seed,
            "training_data_sha256": hashlib.sha256(raw).hexdigest(),
            "trained_on": len(training),
            "held_out": len(held_out),
            "pixel_max": PIXEL_MAX,
            "weights": [row[:-1] for row in weights],
            "biases": [row[-1] for row in weights],
        },
    )
    print(f"held-out accuracy {accuracy:.4f}", flush=True)
    if accuracy <= ACCURACY_MIN:
        sys.exit(f"the held-out accuracy must be above {ACCURACY_MIN}: train for more epochs")


if __name__ == "__main__":
    main()
