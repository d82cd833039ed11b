"""What the paper reports (arXiv 2302.13971, Tables 3 to 6, 8 and 9), by size, task and shots, in percent."""

from train.recipe.facts import SIZES

ROWS = {
    ("boolq", 0): (76.5, 78.1, 83.1, 85.3),
    ("piqa", 0): (79.8, 80.1, 82.3, 82.8),
    ("siqa", 0): (48.9, 50.4, 50.4, 52.3),
    ("hellaswag", 0): (76.1, 79.2, 82.8, 84.2),
    ("winogrande", 0): (70.1, 73.0, 76.0, 77.0),
    ("arc_easy", 0): (72.8, 74.8, 80.0, 78.9),
    ("arc_challenge", 0): (47.6, 52.7, 57.8, 56.0),
    ("openbookqa", 0): (57.2, 56.4, 58.6, 60.2),
    ("nq", 0): (16.8, 20.1, 24.9, 23.8),
    ("nq", 1): (18.7, 23.4, 28.3, 31.0),
    ("nq", 5): (22.0, 28.1, 32.9, 35.0),
    ("nq", 64): (26.1, 31.9, 36.0, 39.9),
    ("triviaqa", 0): (50.0, 56.6, 65.1, 68.2),
    ("triviaqa", 1): (53.4, 60.5, 67.9, 71.6),
    ("triviaqa", 5): (56.3, 63.1, 69.9, 72.6),
    ("triviaqa", 64): (57.6, 64.0, 70.4, 73.0),
    ("race_middle", 0): (61.1, 61.6, 64.1, 67.9),
    ("race_high", 0): (46.9, 47.2, 48.3, 51.6),
    ("mmlu", 5): (35.1, 46.9, 57.8, 63.4),
    ("gsm8k", 8): (11.0, 17.8, 35.6, 50.9),
}
PAPER_SCORES = {
    size: {row: scores[index] for row, scores in ROWS.items()} for index, size in enumerate(SIZES)
}
