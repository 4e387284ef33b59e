"""Base of every service's settings: environment variables `KINDRED_*`, read when the service is built."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings from keyword arguments first, then `KINDRED_<NAME>` variables, then defaults."""

    model_config = SettingsConfigDict(env_prefix="KINDRED_", extra="ignore", frozen=True)
