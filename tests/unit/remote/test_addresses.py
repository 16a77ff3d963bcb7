import pytest

from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.errors import AddressRefused

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:81b::200e"]
PRIVATE = [
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
]
METADATA = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
]
NOBODY = [
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "::ffff:0.0.0.0",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "ff02::1",
]
SPECIAL = [
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "2001:db8::1",
    "2001::1",
    "2002:7f00:1::",
    "3fff::1",
    "::7f00:1",
    "64:ff9b:1::1",
    "4000::1",
    "fec0::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert AddressPolicy().allows(address)
    AddressPolicy().check("registry.example", address)


@pytest.mark.parametrize("address", [*PRIVATE, *METADATA, *NOBODY, *SPECIAL])
def test_any_other_may_not(address: str) -> None:
    assert not AddressPolicy().allows(address)
    with pytest.raises(AddressRefused, match=r"registry\.example .*upstream_networks"):
        AddressPolicy().check("registry.example", address)


@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE])
def test_private_addresses_may_be_called_where_that_is_allowed(address: str) -> None:
    assert AddressPolicy(allow_private=True).allows(address)


@pytest.mark.parametrize("address", [*METADATA, *NOBODY, *SPECIAL])
def test_what_hands_out_credentials_or_is_no_server_is_no_private_address(address: str) -> None:
    assert not AddressPolicy(allow_private=True).allows(address)


def test_a_named_network_may_be_called_and_no_other() -> None:
    policy = AddressPolicy(networks=["10.20.0.0/16", "fd00:20::/32", "169.254.169.254/32"])
    assert policy.allows("10.20.30.40")
    assert policy.allows("::ffff:10.20.30.40")
    assert policy.allows("fd00:20::1")
    assert policy.allows("169.254.169.254")
    assert not policy.allows("10.21.0.1")
    assert not policy.allows("169.254.169.253")


@pytest.mark.parametrize("address", NOBODY)
def test_nobody_can_allow_an_address_of_no_server(address: str) -> None:
    assert not AddressPolicy(allow_private=True, networks=["0.0.0.0/0", "::/0"]).allows(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "1.2.3.4.5", "1.1.1.1 "])
def test_what_is_no_address_may_not_be_called(text: str) -> None:
    assert not AddressPolicy(allow_private=True).allows(text)
