"""The graph as a picture and as text: every step and every reading is there, wherever it lies."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from headrace.report import Edge, Node, graph_svg, graph_text
from headrace.report.graph_layout import lay_out, ranks, usable_edges

SHOP = (
    [
        Node("purchases", "source"),
        Node("spending", "table", "silver"),
        Node("groups", "model"),
        Node("customer_groups", "predictions", "gold"),
    ],
    [
        Edge("purchases", "spending", "30d"),
        Edge("spending", "groups"),
        Edge("groups", "customer_groups"),
        Edge("spending", "customer_groups"),
    ],
)


@st.composite
def graphs(draw):
    names = [f"s{index}" for index in range(draw(st.integers(1, 12)))]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=24))
    return names, [(a, b) for a, b in dict.fromkeys(pairs) if int(a[1:]) < int(b[1:])]


def test_a_shop_is_drawn_as_lanes():
    assert graph_text(*SHOP) == (
        "● purchases            source\n"
        "│\n"
        "● spending             table silver      ← purchases (30d)\n"
        "├─● groups             model             ← spending\n"
        "╰─┴─● customer_groups  predictions gold  ← groups, spending\n"
    )


def test_the_same_is_drawn_in_ascii_when_asked():
    drawn = graph_text(*SHOP, is_ascii=True)
    assert drawn.isascii()
    assert drawn.splitlines()[-1] == "`-'-* customer_groups  predictions gold  <- groups, spending"


def test_a_graph_without_steps_is_empty_text_and_a_whole_picture():
    assert graph_text([], []) == ""
    ET.fromstring(graph_svg([], []))


@given(graphs())
def test_every_step_has_one_line_after_the_steps_that_it_reads(graph):
    names, pairs = graph
    lines = graph_text([Node(name, "table") for name in names], [Edge(*pair) for pair in pairs], is_ascii=True).splitlines()
    order = [found[1] for line in lines if (found := re.search(r"\*[ |]* (s\d+)\b", line))]
    assert sorted(order) == sorted(names)
    assert all(order.index(source) < order.index(target) for source, target in pairs)


@given(graphs())
def test_lanes_run_without_gaps_from_each_step_to_its_last_reader(graph):
    names, pairs = graph
    lines = graph_text([Node(name) for name in names], [Edge(*pair) for pair in pairs], is_ascii=True).splitlines()
    at = {re.search(r"\*[ |]* (s\d+)\b", line)[1]: number for number, line in enumerate(lines) if "*" in line}
    for source in names:
        readers = [target for other, target in pairs if other == source]
        column = lines[at[source]].index("*")
        for number in range(at[source] + 1, max((at[reader] for reader in readers), default=0)):
            assert lines[number][column] in "|+'`-", (source, lines)


@given(graphs())
def test_boxes_never_overlap_and_edges_go_forward(graph):
    names, pairs = graph
    edges = usable_edges(names, pairs)
    layout = lay_out(dict.fromkeys(names, (100.0, 40.0)), edges, rank_gap=50, gap=15)
    boxes = list(layout.boxes.values())
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            is_apart = abs(one.along - other.along) >= 99.9 or abs(one.across - other.across) >= 39.9
            assert is_apart, (one, other)
        assert one.across - one.breadth / 2 >= -0.01
        assert one.across + one.breadth / 2 <= layout.breadth + 0.01
    assert all(layout.boxes[a].along < layout.boxes[b].along for a, b in edges)


@given(graphs())
def test_a_picture_is_whole_xml_with_every_step_in_both_directions(graph):
    names, pairs = graph
    for direction in ("right", "down"):
        svg = graph_svg([Node(name, "table") for name in names], [Edge(*pair) for pair in pairs], direction=direction)
        root = ET.fromstring(svg)
        shown = [item.text for item in root.iter("{http://www.w3.org/2000/svg}text") if item.get("class") == "name"]
        assert sorted(shown) == sorted(names)
        assert "nan" not in svg


def test_edges_that_close_a_cycle_or_lead_nowhere_are_left_out():
    assert usable_edges(["a", "b"], [("a", "b"), ("b", "a"), ("a", "a"), ("a", "x"), ("a", "b")]) == [("a", "b")]


def test_a_start_lies_just_before_its_first_reader():
    assert ranks(["a", "b", "c", "late"], [("a", "b"), ("b", "c"), ("late", "c")]) == {"a": 0, "b": 1, "c": 2, "late": 1}


def test_equal_graphs_give_equal_pictures():
    assert graph_svg(*SHOP) == graph_svg(*SHOP)


def test_a_hostile_name_stays_text():
    svg = graph_svg([Node("<script>alert(1)</script>\x00", 'x" onload="y')], [])
    ET.fromstring(svg)
    assert "<script" not in svg


def test_the_picture_says_in_words_what_reads_what():
    assert "spending reads purchases" in graph_svg(*SHOP)
