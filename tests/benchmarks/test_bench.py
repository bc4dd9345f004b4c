"""Ratios of a run's figures, and turns."""

import pytest
from benchmarks import bench, ratios
from benchmarks.figures import Figure


def test_each_ratio_is_of_the_figures_that_its_name_says() -> None:
    rates = {
        bench.exchange_queries(1): 30.0,
        bench.exchange_queries(16): 300.0,
        bench.exchange_queries(64): 600.0,
        bench.fastapi_queries(1): 20.0,
        bench.fastapi_queries(16): 100.0,
        bench.fastapi_queries(64): 120.0,
        bench.GRPCIO: 150.0,
        bench.ECHO: 6000.0,
        bench.BATCHES: 17_000.0,
        bench.PGBENCH: 10_000.0,
        bench.TOKENS: 9000.0,
        bench.MULTIPLICATIONS: 20_000.0,
    }
    figures = {name: Figure(name, "units", rates=[rate]) for name, rate in rates.items()}
    figures[bench.exchange_queries(64)].server, figures[bench.exchange_queries(64)].database = [0.0008], [0.0002]
    figures[bench.ECHO].server = [0.0003]
    figures[bench.TOKENS].server, figures[bench.TOKENS].database = [0.000125], [0.5]
    figures[bench.MULTIPLICATIONS].server = [0.00005]
    found = {name: ratio.value for name, ratio in bench.ratios_of(figures).items()}
    assert found == pytest.approx(
        {
            ratios.to_fastapi(1): 1.5,
            ratios.to_fastapi(16): 3.0,
            ratios.to_fastapi(64): 5.0,
            ratios.TO_GRPCIO: 4.0,
            ratios.TO_ECHO: 0.3,
            ratios.TO_PGBENCH: 1.7,
            ratios.TO_LIBSODIUM: 0.4,
        }
    )
    assert found.keys() <= ratios.OWED.keys()


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    assert ratios.by_round([1.0, 10.0, 4.0], [1.0, 2.0, 4.0]) == ratios.Ratio(1.0, 1.0, 5.0)
