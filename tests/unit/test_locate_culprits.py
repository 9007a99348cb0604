from netprobe.locate.culprits import blame_common_ends, blame_most_of_its_pairs, blame_witnessed

ALL = [(a, b) for a in "abcdef" for b in "abcdef" if a < b]


def test_a_host_whose_pairs_are_mostly_bad_is_blamed_and_its_partners_are_not():
    blame = blame_most_of_its_pairs([("a", "b"), ("a", "c"), ("a", "d")], ALL)

    assert blame.hosts == {"a": ("b", "c", "d")}
    assert blame.pairs == ()


def test_a_bad_pair_alone_blames_no_host():
    blame = blame_most_of_its_pairs([("a", "b")], ALL)

    assert blame.hosts == {}
    assert blame.pairs == (("a", "b"),)


def test_a_host_that_met_two_culprits_is_excused_by_both():
    met = [("a", "v"), ("b", "v"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("v", "c")]

    blame = blame_most_of_its_pairs([("a", "v"), ("b", "v"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")], met)

    assert set(blame.hosts) == {"a", "b"}
    assert blame.pairs == ()


def test_who_does_well_within_its_leaf_is_not_blamed_for_what_lies_behind_other_leaves():
    leaf_of = dict.fromkeys("abc", "leaf1") | dict.fromkeys("def", "leaf2")
    bad = [("a", "d"), ("a", "e"), ("a", "f")]

    assert set(blame_most_of_its_pairs(bad, ALL).hosts) == {"a"}
    assert blame_most_of_its_pairs(bad, ALL, leaf_of).hosts == {}
    assert set(blame_most_of_its_pairs([*bad, ("a", "b")], ALL, leaf_of).hosts) == {"a"}
    slow_a = [("a", other) for other in "bcdef"]
    behind_others = [pair for pair in ALL if leaf_of[pair[0]] != leaf_of[pair[1]]]
    assert set(blame_most_of_its_pairs({*behind_others, *slow_a}, ALL, leaf_of).hosts) == {"a"}


def test_who_met_others_behind_a_bad_way_alone_is_not_why_it_is_bad():
    leaf_of = dict.fromkeys("abc", "leaf1") | dict.fromkeys("def", "leaf2")
    met = [("a", "d"), ("a", "e"), ("b", "e"), ("c", "f"), ("b", "c"), ("d", "e")]
    ways = [("a", "d"), ("a", "e"), ("b", "e"), ("c", "f")]

    assert blame_most_of_its_pairs(ways, met, leaf_of).hosts == {}
    assert set(blame_most_of_its_pairs(ways[:2], met, leaf_of).hosts) == {"a"}


def test_nothing_bad_blames_nobody():
    assert blame_most_of_its_pairs([], ALL).hosts == {}
    assert blame_common_ends([]).pairs == ()


def test_the_common_end_of_two_faults_is_blamed():
    blame = blame_common_ends([("a", "b"), ("b", "c"), ("d", "e")])

    assert blame.hosts == {"b": ("a", "c")}
    assert blame.pairs == (("d", "e"),)


def test_a_triangle_has_no_common_end():
    blame = blame_common_ends([("a", "b"), ("b", "c"), ("a", "c")])

    assert blame.hosts == {}
    assert len(blame.pairs) == 3


def test_a_witnessed_culprit_is_named_with_those_who_do_well_with_others():
    blame = blame_witnessed([("a", "b"), ("a", "c"), ("a", "d")], ALL)

    assert (blame.hosts, blame.pairs) == ({"a": ("b", "c", "d")}, ())


def test_without_two_witnesses_who_do_well_nobody_is_blamed():
    triangle = [("a", "b"), ("a", "c")]

    assert blame_witnessed(triangle, triangle).hosts == {}
    assert blame_witnessed(ALL, ALL).hosts == {}
    assert blame_witnessed(triangle, [*triangle, ("b", "c")]).hosts == {"a": ("b", "c")}


def test_two_culprits_that_met_each_other_are_both_named():
    bad = [pair for pair in ALL if set(pair) & {"a", "b"}]

    blame = blame_witnessed(bad, ALL)

    assert (blame.hosts.keys(), blame.pairs) == ({"a", "b"}, ())
