from tidegate.remote.memory import Memory


def test_something_is_remembered_for_its_time() -> None:
    now = [0.0]
    memory = Memory[str, int](10, lambda: now[0])
    memory.put("a", 1, 5.0)
    now[0] = 4.9
    assert memory.get("a") == 1
    now[0] = 5.0
    assert memory.get("a") is None
    assert memory.get("never") is None


def test_the_one_used_longest_ago_goes_first() -> None:
    memory = Memory[str, int](2, lambda: 0.0)
    memory.put("a", 1, 5.0)
    memory.put("b", 2, 5.0)
    memory.get("a")
    memory.put("c", 3, 5.0)
    assert [memory.get(each) for each in "abc"] == [1, None, 3]
    memory.forget("a")
    memory.forget("a")
    assert memory.get("a") is None
