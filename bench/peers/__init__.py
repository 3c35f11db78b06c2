"""A small Django project with the peers of the journal: django-auditlog and django-pghistory on rows alike."""
