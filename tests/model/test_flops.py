import pytest

from world.dit.config import DiTConfig
from world.dit.flops import attention_flops, linear_flops, pass_flops

QUERIES, WINDOW = 3 * 1560, 12 * 1560  # three latent frames of 832x480 over a window of twelve


def test_a_pass_of_the_published_model_is_twenty_eight_teraflop():
    wan = DiTConfig()
    assert linear_flops(wan, QUERIES) == pytest.approx(11.70e12, rel=2e-3)
    assert attention_flops(wan, QUERIES, WINDOW) == pytest.approx(16.15e12, rel=2e-3)
    assert attention_flops(wan, QUERIES, 512) == pytest.approx(0.44e12, rel=1e-2)
    assert pass_flops(wan, QUERIES, WINDOW) == pytest.approx(28.30e12, rel=2e-3)


def test_a_recache_with_a_kept_sink_is_a_quarter_cheaper():
    wan = DiTConfig()
    assert pass_flops(wan, 9 * 1560, WINDOW) / pass_flops(wan, 12 * 1560, WINDOW) == pytest.approx(0.75)
