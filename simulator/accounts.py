"""The business's accounts at both vendors: what traffic is signed with and the provider checks."""

from __future__ import annotations

from dataclasses import dataclass

from mediahub import env


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounts:
    """One Meta app with one number, one Twilio account with one number, and their secrets."""

    meta_app_secret: str = "simulated-app-secret"
    meta_access_token: str = "simulated-access-token"
    meta_business_id: str = "102290129340398"
    meta_phone_number_id: str = "106540352242922"
    meta_number: str = "15550783881"
    twilio_account_sid: str = "ACd2a9f0c51b7e4d3c8a6f905e1b2c3d4e"
    twilio_auth_token: str = "simulated-auth-token"
    #: A second way in beside the account's own; empty: none.
    twilio_api_key: str = ""
    twilio_api_secret: str = ""
    twilio_number: str = "+14155238886"

    @classmethod
    def from_environment(cls) -> Accounts:
        """The hub's own secrets (of a list, the new one), with the simulated ones where a name is
        not set.
        """
        known = {
            "meta_app_secret": env.names("META_APP_SECRET")[:1],
            "meta_access_token": env.names("META_ACCESS_TOKEN")[:1],
            "twilio_account_sid": [env.text("TWILIO_ACCOUNT_SID")],
            "twilio_auth_token": env.names("TWILIO_AUTH_TOKEN")[:1],
            "twilio_api_key": [env.text("TWILIO_API_KEY")],
            "twilio_api_secret": env.names("TWILIO_API_SECRET")[:1],
        }
        return cls(
            **{
                name: values[0]
                for name, values in known.items()
                if values and values[0]
            }
        )
