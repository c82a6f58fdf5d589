"""Lists page by page, through boto3 and its paginators: every list that is served, at both sides of each bound."""

import base64
from dataclasses import dataclass

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from gateway import Gateway, allow_everything
from states import GRANTEE


@dataclass(frozen=True)
class List:
    """A list: its members, what names an entry, and the API reference's default and largest `Limit`."""

    operation: str
    members: str
    entry: str
    usual: int
    largest: int
    # How many entries `Lists` has made.
    length: int

    def __str__(self):
        return self.operation

    @property
    def method(self):
        return xform_name(self.operation)


KEYS = List("ListKeys", "Keys", "KeyId", 100, 1000, 102)
ALIASES = List("ListAliases", "Aliases", "AliasName", 50, 100, 51)
TAGS = List("ListResourceTags", "Tags", "TagKey", 50, 50, 50)
POLICIES = List("ListKeyPolicies", "PolicyNames", "", 100, 1000, 1)
ROTATIONS = List("ListKeyRotations", "Rotations", "KeyMaterialId", 100, 1000, 5)
GRANTS = List("ListGrants", "Grants", "GrantId", 50, 100, 53)
RETIRABLE = List("ListRetirableGrants", "Grants", "GrantId", 50, 100, 52)
# The last has one entry for ever, so it has no second page.
LISTS = [KEYS, ALIASES, TAGS, ROTATIONS, GRANTS, RETIRABLE, POLICIES]
every_list = pytest.mark.parametrize("of", LISTS, ids=str)
every_long_list = pytest.mark.parametrize("of", LISTS[:-1], ids=str)


class Lists:
    """A gateway's lists: all keys and aliases, and the rest of one key."""

    def __init__(self, kms):
        self.kms = kms
        # One key and one alias are there from the start.
        self.key = [self.new_key() for _ in range(KEYS.length - 1)][0]
        for number in range(ALIASES.length - 1):
            kms.create_alias(AliasName=f"alias/{number:02}", TargetKeyId=self.key)
        kms.tag_resource(KeyId=self.key, Tags=tags(f"{number:02}" for number in range(TAGS.length)))
        for _ in range(ROTATIONS.length):
            kms.rotate_key_on_demand(KeyId=self.key)
        self.new_grant()
        for _ in range(RETIRABLE.length):
            self.new_grant(RetiringPrincipal=GRANTEE)

    def new_grant(self, **more):
        grant = {"KeyId": self.key, "GranteePrincipal": GRANTEE, "Operations": ["Decrypt"]} | more
        return self.kms.create_grant(**grant)["GrantId"]

    def new_key(self):
        return self.kms.create_key()["KeyMetadata"]["KeyId"]

    def parameters(self, of):
        if of is RETIRABLE:
            return {"RetiringPrincipal": GRANTEE}
        return {} if of in (KEYS, ALIASES) else {"KeyId": self.key}

    def page(self, of, **more):
        """The names of a page's entries, and the next page's marker."""
        answer = getattr(self.kms, of.method)(**self.parameters(of), **more)
        assert answer["Truncated"] is ("NextMarker" in answer)
        return names(of, answer), answer.get("NextMarker")

    def pages(self, of, limit):
        pages, more = [], {"Limit": limit}
        while True:
            page, marker = self.page(of, **more)
            pages.append(page)
            if marker is None:
                return pages
            more["Marker"] = marker

    def refusal(self, of, **more):
        with pytest.raises(ClientError) as caught:
            getattr(self.kms, of.method)(**self.parameters(of), **more)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]


def names(of, answer):
    return [entry[of.entry] if of.entry else entry for entry in answer[of.members]]


def tags(keys):
    return [{"TagKey": key, "TagValue": ""} for key in keys]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    directory = tmp_path_factory.mktemp("lists")
    gateway = Gateway.quickstart(directory / "data", allow_everything(directory))
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def lists(gateway):
    """Lists that no test changes."""
    kms = gateway.client()
    yield Lists(kms)
    kms.close()


@pytest.fixture
def changing(tmp_path):
    """Lists of a test's own."""
    gateway = Gateway.quickstart(tmp_path / "data", allow_everything(tmp_path))
    kms = gateway.client()
    yield Lists(kms)
    kms.close()
    gateway.stop()


@every_list
def test_pages_put_together_are_the_list_whatever_their_length(lists, of):
    whole, marker = lists.page(of, Limit=min(of.largest, 2 * of.length))
    assert (len(set(whole)), marker) == (of.length, None)
    for limit in {1, 2, of.length - 1, of.length, of.length + 1, of.largest}:
        if not 0 < limit <= of.largest:
            continue
        pages = lists.pages(of, limit)
        full, rest = divmod(of.length, limit)
        assert [len(page) for page in pages] == [limit] * full + [rest] * (rest > 0), limit
        assert [name for page in pages for name in page] == whole, limit


@every_list
def test_a_page_has_its_usual_length_if_none_is_asked_for(lists, of):
    page, marker = lists.page(of)
    assert len(page) == min(of.usual, of.length)
    assert (marker is None) is (of.length <= of.usual)


@every_list
def test_a_page_has_a_least_and_a_largest_length(lists, of):
    for limit in [1, of.largest]:
        page, _ = lists.page(of, Limit=limit)
        assert len(page) == min(limit, of.length)

    def text(limit, bound):
        constraint = f"Member must have value {bound}"
        fault = f"Value '{limit}' at 'limit' failed to satisfy constraint: {constraint}"
        return f"1 validation error detected: {fault}"

    for limit in [0, -1]:
        assert lists.refusal(of, Limit=limit) == ("ValidationException", text(limit, "greater than or equal to 1"))
    assert lists.refusal(of, Limit=1001) == ("ValidationException", text(1001, "less than or equal to 1000"))
    # What the service says of a limit between its own bound and the model's is not known.
    assert lists.refusal(of, Limit=of.largest + 1)[0] == "ValidationException"


@every_list
def test_boto3_pages_through_a_list_and_goes_on_from_where_it_stopped(lists, of):
    paginator = lists.kms.get_paginator(of.method)
    whole = [name for page in paginator.paginate(**lists.parameters(of)) for name in names(of, page)]
    assert len(set(whole)) == of.length
    found, token = [], None
    while True:
        config = {"PageSize": 4, "MaxItems": 3, "StartingToken": token}
        result = paginator.paginate(**lists.parameters(of), PaginationConfig=config).build_full_result()
        found += names(of, result)
        token = result.get("NextToken")
        if token is None:
            break
    assert found == whole


@every_list
def test_what_was_never_given_is_no_marker(lists, of):
    for marker in ["x", "not base64!", "AAAA", base64.urlsafe_b64encode(b"1234abcd").decode(), "ÿ", 1024 * "A"]:
        assert lists.refusal(of, Marker=marker) == ("InvalidMarkerException", ""), marker
    for marker in ["", 1025 * "A", "€", "\n"]:
        assert lists.refusal(of, Marker=marker)[0] == "ValidationException", marker


@every_list
def test_a_marker_is_of_its_own_list(lists, of):
    for other in LISTS[:-1]:
        _, marker = lists.page(other, Limit=1)
        if other is not of:
            assert lists.refusal(of, Marker=marker) == ("InvalidMarkerException", ""), other.operation
    if of is not POLICIES:
        _, marker = lists.page(of, Limit=1)
        for damaged in [marker[:-1], marker + "%"]:
            assert lists.refusal(of, Marker=damaged) == ("InvalidMarkerException", "")


def test_a_marker_of_another_keys_rotations_is_none(lists):
    _, marker = lists.page(ROTATIONS, Limit=1)
    with pytest.raises(lists.kms.exceptions.InvalidMarkerException):
        lists.kms.list_key_rotations(KeyId=lists.new_key(), Marker=marker)


@every_long_list
def test_a_marker_is_good_as_often_as_it_is_used(lists, of):
    _, marker = lists.page(of, Limit=2)
    assert lists.page(of, Limit=2, Marker=marker) == lists.page(of, Limit=2, Marker=marker)


def around(lists, of, change):
    """The names of a first page, and those of the pages behind it when `change` was made in between. What is on both
    sides of the change is listed once."""
    whole = [name for page in lists.pages(of, 50) for name in page]
    first, marker = lists.page(of, Limit=3)
    gone = set(change(first, whole[3:]))
    behind = []
    while marker:
        page, marker = lists.page(of, Limit=7, Marker=marker)
        behind += page
    assert len(set(first + behind)) == len(first + behind)
    assert set(whole[3:]) - gone <= set(behind)
    assert not gone & set(behind)


def test_keys_are_made_between_pages(changing):
    def change(first, later):
        for _ in range(5):
            changing.new_key()
        return []

    around(changing, KEYS, change)


def test_aliases_come_and_go_between_pages(changing):
    def change(first, later):
        for name in [*first, later[0], later[-1]]:
            changing.kms.delete_alias(AliasName=name)
        for name in ["alias/00a", "alias/zz"]:
            changing.kms.create_alias(AliasName=name, TargetKeyId=changing.key)
        return [later[0], later[-1]]

    around(changing, ALIASES, change)


def test_tags_come_and_go_between_pages(changing):
    def change(first, later):
        changing.kms.untag_resource(KeyId=changing.key, TagKeys=[first[0], later[0], later[-1]])
        changing.kms.tag_resource(KeyId=changing.key, Tags=tags(["a", "z"]))
        return [later[0], later[-1]]

    around(changing, TAGS, change)


def test_a_key_is_rotated_between_pages(changing):
    def change(first, later):
        changing.kms.rotate_key_on_demand(KeyId=changing.key)
        return []

    around(changing, ROTATIONS, change)


@pytest.mark.parametrize("of", [GRANTS, RETIRABLE], ids=str)
def test_grants_come_and_go_between_pages(changing, of):
    def change(first, later):
        for grant in [*first, later[0], later[-1]]:
            changing.kms.revoke_grant(KeyId=changing.key, GrantId=grant)
        for _ in range(3):
            changing.new_grant(RetiringPrincipal=GRANTEE)
        return [later[0], later[-1]]

    around(changing, of, change)


def test_a_page_cannot_follow_a_tag_that_is_gone(changing):
    page, marker = changing.page(TAGS, Limit=3)
    changing.kms.untag_resource(KeyId=changing.key, TagKeys=[page[-1]])
    assert changing.refusal(TAGS, Marker=marker) == ("InvalidMarkerException", "")
