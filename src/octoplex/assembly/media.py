"""The rules for what is fetched that callers name by URL, read from the file."""

from octoplex.settings import networks
from octoplex.upstreams.config import Media
from octoplex.upstreams.site import Rules
from octoplex.wire.size import size


def rules_of(media: Media) -> Rules:
    """`[server.media]` in bytes and networks; the file was checked when it was read."""
    return Rules(
        fetch=media.fetch,
        part_bytes=size(media.max),
        total_bytes=size(media.total),
        hosts=media.hosts,
        networks=networks(media.networks),
        http=media.http,
        wait_s=media.wait_s,
    )
