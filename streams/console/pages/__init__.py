"""Pages by subject: each module has ROUTES, and its templates in `templates/`. A module here is found by itself."""
