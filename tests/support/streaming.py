"""An application that takes bodies while they arrive."""

from tests.support.rawhttp import hello


class Streaming:
    """An application that takes bodies while they arrive."""

    def __init__(self, answer_early=False):
        self.answer_early = answer_early
        self.events = []
        self.gate = None

    def __call__(self, request):
        hello(request)

    def body_receiver(self, request):
        self.request = request
        request.connection.set_max_body_size(10**9)
        request.connection.set_body_timeout(1)
        return self

    def data_received(self, chunk):
        self.events.append(chunk)
        if self.answer_early:
            hello(self.request)
        return self.gate

    def body_complete(self):
        self.events.append("complete")
        hello(self.request)

    def connection_lost(self):
        self.events.append("lost")
