"""Errors of Google's clients that may go away by themselves."""


def transient_errors() -> tuple[type[Exception], ...]:
    """No response, an overloaded service, a quota that is used up for this minute."""
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    return (
        exceptions.ServiceUnavailable,
        exceptions.TooManyRequests,
        exceptions.GatewayTimeout,
        exceptions.BadGateway,
        requests.ConnectionError,
        requests.Timeout,
        TransportError,
    )
