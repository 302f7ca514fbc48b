import pytest

from framework.httpclient import AddressPolicy

INSIDE = [
    *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "nonsense", "/run/socket", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "::127.0.0.1", "fec0::1"),
    *("::ffff:0:127.0.0.1", "4000::1", "5f00::1", "2001:0:7f00:1::", "::ffff:169.254.169.254", "0.1.2.3", "240.0.0.1"),
    *("198.18.0.1", "192.0.2.1", "2001:db8::1", "::1%lo", "0177.0.0.1", "127.1", "2130706433", ""),
]


@pytest.mark.parametrize("address", INSIDE)
def test_what_only_this_network_can_reach_is_refused(address):
    assert not AddressPolicy().allows(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_internet_is_allowed(address):
    assert AddressPolicy().allows(address)


def test_allow_and_deny():
    policy = AddressPolicy(allow=["127.0.0.0/8"], deny=["127.0.0.2/32", "8.8.8.0/24"])
    assert policy.allows("127.0.0.1")
    assert not policy.allows("127.0.0.2")
    assert not policy.allows("::ffff:8.8.8.8")
