import os
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from shop.stock.models import Item


@csrf_exempt
def items(request: HttpRequest) -> HttpResponse:
    """All names; a POST adds the one in its body."""
    if request.method == "POST":
        Item.objects.create(name=request.body.decode())
    return JsonResponse({"items": list(Item.objects.order_by("id").values_list("name", flat=True))})


def whoami(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {"address": request.META["REMOTE_ADDR"], "scheme": request.scheme, "slot": os.environ.get("SLOT")}
    )


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[str]:
        for number in range(1000):
            yield f"{number}\n"

    return StreamingHttpResponse(pieces(), content_type="text/plain")
