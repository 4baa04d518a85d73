"""The text of a tiny space, for processes that need not import torch."""

SPACE = """
data:
  image_size: 16
  split: {by: class, validation: 0.5, test: 0.0}
encoder:
  width: 8
  embedding_dim: {choice: [8, 16]}
objective:
  one_of:
    triplet:
      loss: {name: triplet, margin: {uniform: [0.1, 0.5]}}
      miner: {name: {choice: [all, semi_hard]}}
    supcon:
      loss: {name: supcon, temperature: {log_uniform: [0.05, 0.5]}}
batch: {classes: 6, samples: 3}
optimizer:
  learning_rate: {log_uniform: [1e-3, 1e-2]}
budget: {steps: 18, report_every: 2}
evaluation: {way: 5, episodes: 60, within: any}
compute: {precision: fp32}
"""
"""Without the data's path: rungs at 2, 6 and 18 steps."""
