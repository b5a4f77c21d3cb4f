"""A web address as a source: planned, run, filled in, waited for, as a file on disk is; and its secrets stay where they are."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import BaseModel
from web_server import Page, Site

import headrace as hr
from headrace.config import read_config
from headrace.core.errors import ConfigurationError, PipelineError, SourceError, TransientError
from headrace.core.interval import Interval
from headrace.core.receipt import Receipt
from headrace.run import connections, redaction
from headrace.run.arrival import awaited, look_from_afar
from headrace.run.backfill import Ran, carry_out
from headrace.run.nearest import check_sources
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session, open_lake_at
from headrace.testing import Lab

DAYS = [Interval.of(f"2026-01-0{n}", f"2026-01-0{n + 1}") for n in range(1, 5)]
SECRETS = ("hunter2", "abcdefg", "c0ffee", "aHVudGVyMg")


class Price(BaseModel):
    item: str
    price: float


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_providers", [])
    monkeypatch.setattr(redaction, "_known", set())


@dataclass
class World:
    """A pipeline with one source, whose lake is a folder. The n-th sleep does what `on` says, and takes no time."""

    folder: Path
    site: Site
    location: str = "/{start:%Y-%m-%d}.csv"
    options: dict = field(default_factory=dict)
    on: dict[int, Callable[[], object]] = field(default_factory=dict)
    slept: int = 0

    def pipeline(self) -> hr.Pipeline:
        shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
        location = self.location if "://" in self.location else self.site.url + self.location
        shop.source("prices", location, contract=Price, retries=0, **self.options)

        @shop.table
        def dear(prices):
            return "select item from prices where price > 1"

        return shop

    def toml(self, **settings: str) -> None:
        told = "\n".join(f'{name} = "{value}"' for name, value in settings.items())
        (self.folder / "headrace.toml").write_text(f"[local.sources.prices]\n{told}\n")

    def session(self) -> Session:
        config = read_config(self.folder / "shop.py", environment={}, overrides={"lake": str(self.folder / "lake"), "tracking": "none"})
        return Session(self.pipeline().graph(), config, open_lake_at(config.lake_uri), file=self.folder / "shop.py", sleep=self.sleep)

    def sleep(self, _: float) -> None:
        self.slept += 1
        self.on.get(self.slept, lambda: None)()

    def run(self, *days: Interval, is_backfill: bool = False) -> Ran:
        return carry_out(self.session(), Request(days or DAYS[:1], is_backfill=is_backfill), jobs=1)

    def prices(self) -> Receipt:
        return next(receipt for receipt in self.run().receipts if receipt.step == "prices")

    def error(self) -> BaseException:
        return next(iter(self.run().outcome.errors.values()))

    def plan(self, *days: Interval, is_backfill: bool = False) -> list[str]:
        plan = make_plan(self.session(), Request(days or DAYS[:1], is_backfill=is_backfill))
        return [f"{one.action}: {one.reason}" for one in plan.decisions if one.step == "prices"]

    def rows(self, day: str = "2026-01-01") -> list[dict]:
        return hr.open_lake(str(self.folder / "lake")).read("shop.prices", day).to_pylist()


@pytest.fixture
def world(tmp_path: Path, site: Site) -> World:
    return World(tmp_path, site)


def day(text: str = "tea,1.5", **options) -> Page:
    return Page(f"item,price\n{text}\n".encode(), **options)


class TestASource:
    def test_is_planned_run_and_read(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", day())
        assert world.plan() == ["run: not made yet"]
        receipt = world.prices()
        assert (receipt.state, receipt.rows_kept) == ("made", 1)
        assert world.rows() == [{"item": "tea", "price": 1.5}]
        assert site.methods().count("GET") == 1

    def test_is_read_again_when_it_changed_and_not_before(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", day())
        world.run()
        asked = site.methods().count("GET")
        assert world.plan() == ["skip: nothing changed"]
        assert world.prices().state == "cached"
        assert site.methods().count("GET") == asked
        site.put("/2026-01-01.csv", day("coffee,2", etag='"2"'))
        assert world.plan() == ["run: 1 file at the origin is new or changed"]
        assert (world.prices().version, world.rows()) == (2, [{"item": "coffee", "price": 2.0}])

    def test_that_nothing_is_told_of_is_read_each_time_and_made_when_it_changed(self, world: World, site: Site) -> None:
        untold = day(etag=None, modified=None, is_chunked=True)
        site.put("/2026-01-01.csv", untold)
        assert world.prices().state == "made"
        assert world.plan() == ["run: 1 file at the origin is read again: nothing tells whether it changed"]
        receipt = world.prices()
        assert (receipt.state, receipt.version, receipt.why) == ("cached", 1, "the files hold the same bytes")
        site.put("/2026-01-01.csv", untold.but(body=b"item,price\ntea,1.6\n"))
        assert world.prices().version == 2

    def test_is_not_taken_for_that_of_the_day_before_where_nothing_tells(self, world: World, site: Site) -> None:
        world.location = "/latest.csv"
        site.put("/latest.csv", day(etag=None, modified=None))
        world.run(DAYS[0])
        site.put("/latest.csv", day("tea,9.5", etag=None, modified=None))
        world.run(DAYS[1])
        assert world.rows("2026-01-02") == [{"item": "tea", "price": 9.5}]

    def test_of_gzip_is_read(self, world: World, site: Site) -> None:
        world.location = "/{start:%Y-%m-%d}.csv.gz?download=1"
        site.put("/2026-01-01.csv.gz", Page(gzip.compress(day().body)))
        assert world.prices().rows_kept == 1

    def test_that_is_a_page_for_people_is_refused(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", Page(b"<!doctype html><html><body>Please log in</body></html>"))
        assert isinstance(world.error(), SourceError)
        assert "2026-01-01.csv` is HTML or XML under another name, often an error page" in str(world.error())

    def test_that_is_not_there_says_where_it_was_looked_for(self, world: World, site: Site) -> None:
        assert str(world.error()) == (
            f"Source `prices` [2026-01-01, 2026-01-02): There is no file at `{site.url}/2026-01-01.csv`. Is the location right? What else is there "
            'can\'t be listed. If an interval without a file is normal, declare missing="empty".'
        )

    def test_may_be_missing(self, world: World, site: Site) -> None:
        world.options["missing"] = "empty"
        assert (world.prices().state, world.rows()) == ("made", [])
        site.put("/2026-01-01.csv", day())
        assert world.plan() == ["run: 1 file at the origin is new or changed"]

    def test_that_is_gone_keeps_what_landed(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", day())
        world.run()
        site.pages.clear()
        assert world.plan() == ["skip: nothing changed"]
        world.options["missing"] = "empty"
        receipt = world.prices()
        assert (receipt.state, receipt.rows_kept) == ("made", 1)

    def test_is_filled_in(self, world: World, site: Site) -> None:
        for n in (1, 2, 3, 4):
            site.put(f"/2026-01-0{n}.csv", day(f"tea,{n}", etag=f'"{n}"'))
        assert not world.run(*DAYS, is_backfill=True).outcome.errors
        assert world.rows("2026-01-03") == [{"item": "tea", "price": 3.0}]

    def test_whose_host_is_out_of_reach_is_asked_once_a_plan(self, world: World, site: Site) -> None:
        for n in (1, 2, 3):
            site.put(f"/2026-01-0{n}.csv", day())
        world.run(*DAYS[:3])
        for n in (1, 2, 3):
            site.put(f"/2026-01-0{n}.csv", Page(b"", 503, headers={"Retry-After": "999"}))
        site.asked.clear()
        plan = world.plan(*DAYS[:3], is_backfill=True)
        assert len(site.asked) == 1
        assert all(one.startswith("run: its files can't be looked at now: `http://127.0.0.1:") for one in plan)
        assert len(plan) == 3
        assert isinstance(world.error(), TransientError)

    def test_that_refuses_is_not_taken_for_unchanged(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", day())
        world.run()
        site.put("/2026-01-01.csv", Page(b"", 401))
        assert world.plan()[0].startswith("run: its files can't be looked at: `http://127.0.0.1:")
        assert "is not given without a way in" in str(world.error())

    def test_does_not_stop_a_run_before_it_starts(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", Page(b"", 401))
        assert check_sources(world.session(), DAYS[0], is_default=True) is None

    def test_in_a_lab_may_lie_on_a_disk(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "prices.csv").write_bytes(day().body)
        lab = Lab(world.pipeline(), locations={"prices": tmp_path / "prices.csv"})
        lab.run("2026-01-01")
        assert lab.read("prices") == [{"item": "tea", "price": 1.5}]


class TestWaiting:
    def test_ends_when_the_file_comes(self, world: World, site: Site) -> None:
        world.options["wait"] = "1h"
        world.on[2] = lambda: site.put("/2026-01-01.csv", day())
        assert world.prices().rows_kept == 1
        assert world.slept == 2

    def test_goes_on_while_the_server_is_away(self, world: World, site: Site) -> None:
        world.options["wait"] = "1h"
        site.put("/2026-01-01.csv", Page(b"", 503, headers={"Retry-After": "999"}))
        world.on[2] = lambda: site.put("/2026-01-01.csv", day())
        assert world.prices().rows_kept == 1

    def test_goes_on_while_the_file_grows_though_nothing_marks_it(self, world: World, site: Site) -> None:
        world.options["wait"] = "1h"
        page = day(etag=None, modified=None)
        site.put("/2026-01-01.csv", page)
        world.on[1] = lambda: site.put("/2026-01-01.csv", page.but(body=page.body + b"coffee,2\n"))
        assert world.prices().rows_kept == 2
        assert world.slept == 2

    def test_is_done_by_any_process(self, world: World, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        world.options["wait"] = "1h"
        world.toml(connection="my_site")
        session = world.session()
        what = awaited(session, session.graph.step("prices"), DAYS[0])
        assert what is not None
        assert type(what).from_json(what.as_json()) == what
        assert what.connection == "my_site"
        site.put("/2026-01-01.csv", day())
        way_in = connections.Connection("my_site", "http", password="hunter2")
        sight = look_from_afar(what, now=hr.Interval.of("2026-01-02", "2026-01-03").start, connection=way_in)
        assert sight.is_settled
        assert site.asked[-1].headers["Authorization"] == "Bearer hunter2"


class TestSettings:
    def test_name_a_connection(self, world: World, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        world.toml(connection="my_site")
        monkeypatch.setenv("AIRFLOW_CONN_MY_SITE", '{"conn_type": "http", "login": "ana", "password": "hunter2"}')
        site.put("/2026-01-01.csv", day())
        assert world.prices().rows_kept == 1
        assert all(one.headers["Authorization"].startswith("Basic ") for one in site.asked)

    def test_name_one_beside_another_place(self, world: World, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        world.location = f"{world.folder}/nowhere.csv"
        world.toml(location=f"{site.url}/b.csv", connection="my_site")
        monkeypatch.setattr(World, "pipeline", _from_disk)
        monkeypatch.setenv("AIRFLOW_CONN_MY_SITE", '{"conn_type": "http", "password": "hunter2"}')
        site.put("/b.csv", day())
        assert world.prices().rows_kept == 1

    def test_name_one_that_is_not_there(self, world: World) -> None:
        world.toml(connection="my_site")
        assert "There is no connection `my_site`, which sources.prices, " in str(world.error())
        assert "AIRFLOW_CONN_MY_SITE" in str(world.error())

    def test_bound_the_size(self, world: World, site: Site) -> None:
        world.toml(max_size="10B")
        site.put("/2026-01-01.csv", day())
        assert "at most 10 are taken" in str(world.error())

    @pytest.mark.parametrize(("setting", "value"), [("connection", "my_site"), ("max_size", "10B")])
    def test_that_mean_nothing_to_a_file_on_disk_are_refused(
        self, world: World, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
    ) -> None:
        world.location = f"{world.folder}/a.csv"
        world.toml(**{setting: value})
        monkeypatch.setattr(World, "pipeline", _from_disk)
        monkeypatch.setenv("AIRFLOW_CONN_MY_SITE", '{"conn_type": "http", "password": "hunter2"}')
        with pytest.raises(ConfigurationError, match=f"Source `prices`: `{setting}` is set for it, and means nothing to"):
            world.session().origin(world.session().graph.step("prices"))

    def test_for_a_source_that_is_all_but_ours_are_a_slip_of_the_pen(self, world: World) -> None:
        (world.folder / "headrace.toml").write_text('[local.sources.price]\nconnection = "my_site"\n')
        with pytest.raises(ConfigurationError, match=r"there is no source `price`\. Did you mean `prices`"):
            world.session()


def _from_disk(world: World) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("prices", world.location, contract=Price)
    return shop


class TestSecrets:
    def _location(self, site: Site, signature: str = "c0ffee") -> str:
        root = site.url.replace("://", "://ana:hunter2@")
        return f"{root}/{{start:%Y-%m-%d}}.csv?apikey=abcdefg&X-Amz-Date=2026{len(signature)}&X-Amz-Signature={signature}"

    def test_of_an_address_are_nowhere_in_the_lake(self, world: World, site: Site) -> None:
        world.location = self._location(site)
        site.put("/2026-01-01.csv", day("tea,1.5\n,x\ncoffee,y"))
        assert "rejected" in str(world.error())
        site.put("/2026-01-01.csv", day())
        world.run()
        assert world.rows() == [{"item": "tea", "price": 1.5}]
        files = [path for path in (world.folder / "lake").rglob("*") if path.is_file()]
        assert len(files) > 5
        told = [f"{path.relative_to(world.folder)}\n".encode() + path.read_bytes() for path in files]
        assert not [text for text in told for secret in SECRETS if secret.encode() in text]
        assert any(f"{site.url}/2026-01-01.csv?apikey=***".encode() in text for text in told)

    def test_are_in_no_message(self, world: World, site: Site) -> None:
        world.location = self._location(site)
        for page in (Page(b"", 404), Page(b"", 401), Page(b"", 503, headers={"Retry-After": "999"}), day("tea,x")):
            site.put("/2026-01-01.csv", page)
            said = [repr(world.error()), *world.plan()]
            assert not [text for text in said for secret in SECRETS if secret in text]
            assert site.url.partition("://")[2] in said[0] or "rejected" in said[0]

    def test_may_change_without_changing_the_file(self, world: World, site: Site) -> None:
        site.put("/2026-01-01.csv", day())
        world.location = self._location(site)
        world.run()
        world.location = self._location(site, "c0ffeec0ffee")
        assert world.plan() == ["skip: nothing changed"]
        assert "Signature=c0ffeec0ffee" in site.asked[-1].path

    def test_are_known_to_be_secret_in_all_that_is_told(self, world: World, site: Site) -> None:
        world.location = self._location(site)
        world.session()
        assert redaction.redacted("hunter2 abcdefg YW5hOmh1bnRlcjI=") == "*** *** ***="

    def test_do_not_show_where_the_format_can_not_be_told(self, site: Site) -> None:
        shop = hr.Pipeline("shop")
        shop.source("a", f"{site.url}/export?token=hunter2")
        with pytest.raises(PipelineError, match=r"export\?token=\*\*\*` can't be told from its name") as caught:
            shop.graph()
        assert "hunter2" not in str(caught.value)
