"""Sets up the people of a Creme that has its own records already, and the company that it belongs to.

Runs in Creme's own environment, with a JSON object on stdin: {login: password}. A second run changes nothing.
Prints the number of each kind of record that others have to name, as one JSON object.
`root` keeps all rights. `sales` works with the CRM. `opshub`, who is the write-back, sees all and changes opportunities
and organisations; it creates and administrates nothing.
"""

import json
import sys

import django

django.setup()

from creme.creme_core.auth.entity_credentials import EntityCredentials  # noqa: E402
from creme.creme_core.models import CremeUser, SetCredentials, UserRole  # noqa: E402
from creme.persons import get_organisation_model  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402

APPS = ("creme_core", "persons", "products", "opportunities", "billing")
VIEW, CHANGE = EntityCredentials.VIEW, EntityCredentials.CHANGE
LINK = EntityCredentials.LINK | EntityCredentials.UNLINK

passwords = json.load(sys.stdin)
root = CremeUser.objects.get(username="root")
root.set_password(passwords["root"])
root.save()
for login, role_name, rights, creates in (
    ("sales", "Sales people", VIEW | CHANGE | LINK, True),
    ("opshub", "Integration", VIEW | CHANGE, False),
):
    role, is_new = UserRole.objects.get_or_create(name=role_name)
    if is_new:
        role.allowed_apps = APPS
        role.save()
        SetCredentials.objects.create(role=role, set_type=SetCredentials.ESET_ALL, value=rights)
    kinds = ContentType.objects.filter(app_label__in=APPS[1:])
    role.listable_ctypes.set(kinds)
    role.creatable_ctypes.set(kinds if creates else [])
    user = CremeUser.objects.filter(username=login).first() or CremeUser.objects.create_user(
        username=login, first_name=login.title(), last_name="Demo", email=f"{login}@example.com", role=role
    )
    user.set_password(passwords[login])
    user.save()
ours = get_organisation_model().objects.filter(is_managed=True).first()
ours.name = "Our Company"
ours.save()
kinds = (("persons", "organisation"), ("opportunities", "opportunity"), ("billing", "quote"))
print(json.dumps({model: ContentType.objects.get(app_label=app, model=model).id for app, model in kinds}))
