#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One task of a job array: trains the digits classifier at the learning rate that belongs to this task's index.

The node sets STA_TASK_INDEX, from 0 on, and STA_TASK_COUNT. `train.py` of examples/digits must be importable.
"""

import json
import os
import sys

import train

RATES = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
EPOCHS = 12
SEED = 20261123


def main():
    data = sys.argv[1] if len(sys.argv) > 1 else "digits.csv.gz"
    index = int(os.environ.get("STA_TASK_INDEX", "0"))
    if not 0 <= index < len(RATES):
        sys.exit(f"there is no learning rate for index {index}: use count = {len(RATES)} at most")
    train.LEARNING_RATE = RATES[index]
    with open(data, "rb") as file:
        training, held_out = train.split(train.read_images(file.read()), SEED)
    print(f"task {index} of {os.environ.get('STA_TASK_COUNT', '1')}: learning rate {RATES[index]}", flush=True)
    accuracy = train.accuracy_of(train.train(training, EPOCHS, SEED), held_out)
    with open(f"result-{index}.json", "w", encoding="utf-8") as file:
        json.dump({"index": index, "learning_rate": RATES[index], "accuracy": round(accuracy, 4)}, file)
        file.write("\n")
    print(f"held-out accuracy {accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
