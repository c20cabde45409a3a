"""`babelcast` as it is, but for this: the quality of scripted speech is measured too, by the detectors that
any engine has. (Not its echo: tones are an echo of themselves.) Run as a program.
"""

from cli.main import app
from transcription_svc.config import TranscriptionConfig
from transcription_svc.listening import ListeningPolicy
from transcription_svc.quality import QualityPolicy

QUALITY = QualityPolicy(silence_s=1.5, clipping_clear_s=1.0, echo_db=100.0, snr_db=-100.0)

if __name__ == "__main__":
    policy = property(lambda _: ListeningPolicy(quality=QUALITY, emotion=False))
    setattr(TranscriptionConfig, "listening", policy)  # noqa: B010 - there is no such setting
    app(prog_name="babelcast")
