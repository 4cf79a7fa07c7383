"""Decides whether an address is on the public internet. Pure."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

type Address = IPv4Address | IPv6Address

GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
# Special-purpose networks of IANA inside public ranges, including those it calls globally reachable: network services,
# relays and documentation, none of which serves images. The last is a cloud's host, reachable from its machines.
SPECIAL_NETWORKS = tuple(
    map(
        ip_network,
        (
            *(
                "192.0.0.0/24",
                "192.0.2.0/24",
                "192.31.196.0/24",
                "192.52.193.0/24",
                "192.88.99.0/24",
                "192.175.48.0/24",
            ),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "100.64.0.0/10", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
            "168.63.129.16/32",
        ),
    )
)


def is_public(address: Address) -> bool:
    """Whether an address, and any IPv4 address that it embeds, is on the public internet."""
    if any(address in network for network in SPECIAL_NETWORKS):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if address.ipv4_mapped:
        return is_public(address.ipv4_mapped)
    if address in NAT64:
        return is_public(IPv4Address(address.packed[12:]))
    # 6to4 and Teredo embed an IPv4 address too; both are retired and serve nothing public.
    tunnelled = address.sixtofour or address.teredo
    return address in GLOBAL_UNICAST and address.is_global and not address.is_multicast and not tunnelled
