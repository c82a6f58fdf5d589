"""Descriptions, aliases, tags and key policies, by boto3: typed answers, pages, and what is recorded of each."""

import json

import pytest
from botocore.exceptions import ClientError
from states import DEFAULT_POLICY


def recorded(gateway, answer, elements=None):
    """What the record of an answer without a body says of its request."""
    assert set(answer) == {"ResponseMetadata"}
    record = gateway.record(answer["ResponseMetadata"]["RequestId"])
    assert (record["readOnly"], record["responseElements"]) == (False, elements)
    return record["eventName"], record["requestParameters"], [resource["ARN"] for resource in record["resources"]]


def test_a_description_is_changed(allow_all, kms, key):
    answer = kms.update_key_description(KeyId=key, Description="the orders' key")
    asked = {"keyId": key, "description": "the orders' key"}
    assert recorded(allow_all, answer) == ("UpdateKeyDescription", asked, [key])
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "the orders' key"


def test_an_alias_is_changed_and_deleted_and_both_its_keys_are_recorded(allow_all, kms, key):
    other = kms.create_key()["KeyMetadata"]["Arn"]
    alias = "arn:aws:kms:us-east-1:111122223333:alias/management"
    kms.create_alias(AliasName="alias/management", TargetKeyId=key)
    answer = kms.update_alias(AliasName="alias/management", TargetKeyId=other)
    asked = {"aliasName": "alias/management", "targetKeyId": other}
    assert recorded(allow_all, answer, {"keyId": other}) == ("UpdateAlias", asked, [alias, key, other])
    assert kms.describe_key(KeyId="alias/management")["KeyMetadata"]["Arn"] == other
    answer = kms.delete_alias(AliasName="alias/management")
    asked = {"aliasName": "alias/management"}
    assert recorded(allow_all, answer, {"keyId": other}) == ("DeleteAlias", asked, [alias, other])
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.describe_key(KeyId="alias/management")


def test_tags_are_given_listed_in_pages_and_taken_away(allow_all, kms, key):
    tags = [{"TagKey": f"key-{number}", "TagValue": "x" * number} for number in range(7)]
    answer = kms.tag_resource(KeyId=key, Tags=tags)
    asked = {"keyId": key, "tags": [{"tagKey": tag["TagKey"], "tagValue": tag["TagValue"]} for tag in tags]}
    assert recorded(allow_all, answer) == ("TagResource", asked, [key])
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": 3})
    assert [page["Tags"] for page in pages] == [tags[:3], tags[3:6], tags[6:]]
    answer = kms.untag_resource(KeyId=key, TagKeys=["key-0", "key-6", "no-such-key"])
    asked = {"keyId": key, "tagKeys": ["key-0", "key-6", "no-such-key"]}
    assert recorded(allow_all, answer) == ("UntagResource", asked, [key])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == tags[1:6]
    with pytest.raises(kms.exceptions.TagException, match="Duplicate tag keys"):
        kms.tag_resource(KeyId=key, Tags=[tags[0], tags[0]])


def test_a_key_has_the_default_policy_until_it_is_given_another(allow_all, kms, key):
    [page] = kms.get_paginator("list_key_policies").paginate(KeyId=key)
    assert page["PolicyNames"] == ["default"]
    answer = kms.get_key_policy(KeyId=key)
    assert answer["PolicyName"] == "default"
    assert json.loads(answer["Policy"]) == json.loads(DEFAULT_POLICY)
    record = allow_all.record(answer["ResponseMetadata"]["RequestId"])
    assert (record["readOnly"], record["responseElements"]) == (True, None)
    name, asked, resources = recorded(allow_all, kms.put_key_policy(KeyId=key, Policy=answer["Policy"]))
    assert (name, resources) == ("PutKeyPolicy", [key])
    assert asked == {"keyId": key, "policy": answer["Policy"]}
    other = DEFAULT_POLICY.replace(":root", ":user/orders")
    with pytest.raises(kms.exceptions.MalformedPolicyDocumentException, match="will not allow you to update"):
        kms.put_key_policy(KeyId=key, Policy=other)
    with pytest.raises(kms.exceptions.MalformedPolicyDocumentException):
        kms.put_key_policy(KeyId=key, Policy="{")
    assert kms.get_key_policy(KeyId=key)["Policy"] == answer["Policy"]
    # Who asks is named no longer, and has said so.
    kms.put_key_policy(KeyId=key, Policy=other, BypassPolicyLockoutSafetyCheck=True)
    with pytest.raises(ClientError, match="because no resource-based policy allows the kms:GetKeyPolicy action") as denied:
        kms.get_key_policy(KeyId=key)
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_new_key_may_have_a_policy_for_the_callers_of_an_account(kms):
    everyone_here = json.loads(DEFAULT_POLICY)
    everyone_here["Statement"][0]["Principal"] = "*"
    everyone_here["Statement"][0]["Condition"] = {"StringEquals": {"kms:CallerAccount": "111122223333"}}
    made = kms.create_key(Policy=json.dumps(everyone_here))["KeyMetadata"]["KeyId"]
    assert json.loads(kms.get_key_policy(KeyId=made)["Policy"]) == everyone_here
    elsewhere = json.dumps(everyone_here).replace("111122223333\"}}", "444455556666\"}}")
    with pytest.raises(kms.exceptions.MalformedPolicyDocumentException, match="will not allow you to update"):
        kms.create_key(Policy=elsewhere)
