"""A campaign that trains nothing, as a process of its own: `python -m tests.chaos.driver FOLDER SITE EVALUATIONS`."""

import sys
import tomllib
from pathlib import Path

from tests.site_configs.short_campaign import ShortCampaign, injected

if __name__ == "__main__":
    folder, site, evaluations = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    injected(folder)
    ShortCampaign(folder).run(tomllib.loads(site.read_text()), evaluations, seconds=0.5)
