"""What unfold says: it brings no French, so its messages are named here and translated in our catalogue.

Nothing imports this. `make messages` reads it, and a test compares it with the templates of the installed unfold.
"""

from django.utils.translation import gettext_noop, ngettext

gettext_noop("All applications")
gettext_noop("Apply Filters")
gettext_noop("Cancel")
gettext_noop("Choose file to upload")
gettext_noop("Click to cancel")
gettext_noop("Click to download")
gettext_noop("Dark")
gettext_noop("Date")
gettext_noop("Expand row")
gettext_noop("False")
gettext_noop("Forgotten your password or username?")
gettext_noop("General")
gettext_noop("Go back")
gettext_noop("Image preview")
gettext_noop("Light")
gettext_noop("Loading more results...")
gettext_noop("More actions")
gettext_noop("Next")
gettext_noop("No data")
gettext_noop("No recent searches")
gettext_noop("No results found")
gettext_noop("No results matching your query")
gettext_noop("Previous")
gettext_noop("Recent searches")
gettext_noop("Record picture")
gettext_noop("Reset filters")
gettext_noop("Return to site")
gettext_noop("Run")
gettext_noop("Search apps and models...")
gettext_noop("Select action")
gettext_noop("Select action to run")
gettext_noop("Select all rows")
gettext_noop("Select currency")
gettext_noop("Select record")
gettext_noop("System")
gettext_noop("This item will be deleted.")
gettext_noop("This page yielded into no results. Create a new item or reset your filters.")
gettext_noop("Toggle password visibility")
gettext_noop("True")
gettext_noop("Type to search")
gettext_noop("Welcome back to")
gettext_noop("You have been successfully logged out from the administration")
ngettext(
    "\n                Found %(counter)s result in %(time)s seconds\n            ",
    "\n                Found %(counter)s results in %(time)s seconds\n            ",
    1,
)
