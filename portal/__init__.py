"""The portal: pages, forms, access, the JSON API and the command line on top of billing."""
