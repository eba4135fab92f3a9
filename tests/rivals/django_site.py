"""A site of one page, as Django shows pictures of Cloudinary: `python -m tests.rivals.django_site PORT`.

Nothing in it names a node: CLOUDINARY_URL of the environment does.
"""

import sys
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

PAGE = """{% load cloudinary %}<!doctype html><title>Lakes</title>
{% cloudinary "lake.jpg" width=300 crop="limit" %}
{% cloudinary "lake" format="jpg" width=200 height=200 crop="fill" gravity="auto" alt="a lake" %}
{% cloudinary "door.png" width=90 height=120 crop="pad" background="black" fetch_format="auto" quality="auto" %}
<img src="{% cloudinary_url "lake.jpg" width=320 crop="scale" effect="grayscale" sign_url=True %}">
"""


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({}, request))


urlpatterns = [path("", page)]

if __name__ == "__main__":
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=["cloudinary"],
        ROOT_URLCONF=__name__,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
