"""Whisper's input."""

import subprocess
import sys

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from transcription_svc.engines.mel import log_mel


@pytest.mark.parametrize("count", [1, 5_000, 16_000, 40_001])
def test_equals_the_reference(count: int) -> None:
    """The spectrogram is the one of faster-whisper's extractor, at a fraction of its time for short audio."""
    samples = np.random.default_rng(count).normal(size=count).astype(np.float32) * 0.1
    padded = 64_000
    reference = FeatureExtractor()(np.pad(samples, (0, padded - count)), padding=0)
    found = log_mel(samples, padded)
    assert found.shape == (80, 400)
    assert np.allclose(found, reference, atol=1e-4)


_ALONE = """
import time
import numpy as np
from transcription_svc.engines.mel import log_mel

samples = np.random.default_rng(1).normal(size=80_000).astype(np.float32) * 0.1
log_mel(samples, 128_000)
thread, process = time.thread_time(), time.process_time()
for _ in range(20):
    log_mel(samples, 128_000)
print((time.process_time() - process) / (time.thread_time() - thread))
"""


def test_takes_one_core_alone() -> None:
    """No second thread works, or spins, beside the one that asks: other streams need the cores."""
    # in a process where nothing else is going on
    done = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.3
